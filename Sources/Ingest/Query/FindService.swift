// SPDX-License-Identifier: Apache-2.0

import Catalog
import DICOM
package import DICOMNetworking
import DIMSE
package import Logging

/// Answers C-FIND (PS3.4 section C.4.1): a page of the catalog at a time, no faster than the peer reads.
///
/// One value serves all associations and keeps nothing between requests.
package struct FindService: Sendable {
    /// Matches in memory at once, of one query.
    package static let pageCount = 200

    private let source: any FindSource
    private let aeTitle: String
    private let logger: Logger

    package init(source: any FindSource, aeTitle: String, logger: Logger) {
        self.source = source
        self.aeTitle = aeTitle
        self.logger = logger
    }

    /// Sends a pending response for each match; returns the last response.
    package func answer(_ request: QueryRetrieveRequest, exchange: RequestExchange) async -> QueryRetrieveResponse {
        do throws(QueryRefusal) {
            return QueryRetrieveResponse(try await find(request, exchange: exchange))
        } catch {
            logger.notice(
                "query not answered",
                metadata: ["status": "\(error.status)", "reason": "\(error.comment)"]
            )
            return QueryRetrieveResponse(error)
        }
    }

    private func find(
        _ request: QueryRetrieveRequest,
        exchange: RequestExchange
    ) async throws(QueryRefusal) -> DIMSEStatus {
        let identifier = try request.readIdentifier()
        let query = try FindQuery(
            identifier.dataSet,
            model: request.sopClass.model,
            options: request.options,
            retrieveAETitle: aeTitle
        )
        let pending: DIMSEStatus = query.hasUnsupportedKeys ? .pendingWithUnsupportedKeys : .pending
        var next: CatalogCursor?
        while !exchange.isCancelled {
            let page: FindPage
            do throws(RetrieveFailure) {
                page = try await source.matches(query, after: next, limit: Self.pageCount)
            } catch {
                throw QueryRefusal(error)
            }
            do {
                let responses = try page.matches.map { match in
                    QueryRetrieveResponse(
                        pending,
                        identifier: try match.identifier(for: query, syntax: identifier.syntax)
                    )
                }
                if !responses.isEmpty { try await exchange.send(responses) }
            } catch let error as DICOMNetworkError {
                // Nobody reads the answer: the peer has cancelled or is gone.
                logger.debug("a query was broken off", metadata: ["reason": "\(error)"])
                return .cancel
            } catch {
                throw QueryRefusal(.unableToProcess, "a match cannot be written: \(error)")
            }
            next = page.next
            if next == nil { return .success }
        }
        return .cancel
    }
}

extension QueryRetrieveRequest {
    /// The identifier, and the transfer syntax that answers are written in.
    func readIdentifier() throws(QueryRefusal) -> (dataSet: DataSet, syntax: TransferSyntax) {
        guard let syntax = TransferSyntax.known(transferSyntax) else {
            throw QueryRefusal(.unableToProcess, "the transfer syntax \(transferSyntax) is not known")
        }
        do throws(DICOMError) {
            return (try DataSetReader.read(identifier, transferSyntax: syntax).dataSet, syntax)
        } catch {
            throw QueryRefusal(.identifierDoesNotMatchSOPClass, "the identifier cannot be read: \(error.code)")
        }
    }
}
