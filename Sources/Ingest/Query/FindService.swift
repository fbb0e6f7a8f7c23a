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
    private let objects: ObjectSearch
    private let aeTitle: String
    private let logger: Logger

    package init(source: any FindSource, objects: ObjectSearch, aeTitle: String, logger: Logger) {
        self.source = source
        self.objects = objects
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
        if !query.objectKeys.isEmpty {
            for candidate in try await objects.candidates(query) {
                if exchange.isCancelled { return .cancel }
                guard let match = try await objects.match(candidate, query) else { continue }
                guard try await send([match], of: query, identifier.syntax, exchange) else { return .cancel }
            }
            return exchange.isCancelled ? .cancel : .success
        }
        var next: CatalogCursor?
        while !exchange.isCancelled {
            let page: FindPage
            do throws(RetrieveFailure) {
                page = try await source.matches(query, after: next, limit: Self.pageCount)
            } catch {
                throw QueryRefusal(error)
            }
            guard try await send(page.matches, of: query, identifier.syntax, exchange) else { return .cancel }
            next = page.next
            if next == nil { return .success }
        }
        return .cancel
    }

    /// Sends matches; false when nobody reads them: the peer has cancelled or is gone.
    private func send(
        _ matches: [FindResult],
        of query: FindQuery,
        _ syntax: TransferSyntax,
        _ exchange: RequestExchange
    ) async throws(QueryRefusal) -> Bool {
        let pending: DIMSEStatus = query.hasUnsupportedKeys ? .pendingWithUnsupportedKeys : .pending
        do {
            let responses = try matches.map { match in
                QueryRetrieveResponse(pending, identifier: try match.identifier(for: query, syntax: syntax))
            }
            if !responses.isEmpty { try await exchange.send(responses) }
            return true
        } catch let error as DICOMNetworkError {
            logger.debug("a query was broken off", metadata: ["reason": "\(error)"])
            return false
        } catch {
            throw QueryRefusal(.unableToProcess, "a match cannot be written: \(error)")
        }
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
