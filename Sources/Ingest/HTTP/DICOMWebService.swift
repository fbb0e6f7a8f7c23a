// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
package import Hummingbird
package import Logging

/// The DICOMweb service of an ingest node (PS3.18): QIDO-RS, WADO-RS and STOW-RS over the archive.
///
/// A value that all requests share; it keeps nothing between them.
package struct DICOMWebService: Sendable {
    /// Where the service is mounted.
    package static let path = "/dicom-web"
    /// The most results of one search, whatever its limit.
    package static let maximumResultCount = 5000

    let retrieve: RetrieveService
    /// Takes what is stored by HTTP; nil when nothing is.
    let receiver: (any InstanceReceiver)?
    /// Store transactions at once.
    let storePlaces = Budget(limit: maximumStoreCount)
    /// The URL of the service as clients see it; when nil, it is taken from each request and its proxy's headers.
    let publicURL: String?
    let logger: Logger

    package init(
        retrieve: RetrieveService,
        receiver: (any InstanceReceiver)? = nil,
        publicURL: String? = nil,
        logger: Logger
    ) {
        self.retrieve = retrieve
        self.receiver = receiver
        self.publicURL = publicURL
        self.logger = logger
    }

    /// The data dictionary, for keywords in queries.
    static let dictionary = AttributeDictionary { DataDictionary.tag(forKeyword: $0)?.rawValue }

    /// Answers one GET, errors included.
    package func response(to request: Request) async -> Response {
        do {
            let path = request.uri.path.dropFirst(Self.path.utf8.count)
            let resource = try DICOMWebResource(path: path)
            let exchange = try exchange(of: request)
            switch resource {
            case .collection: return try await search(resource, exchange)
            case .item(let item, .whole): return try await instances(of: item, exchange)
            case .item(let item, .metadata): return try await metadata(of: item, exchange)
            case .item(let item, .bulkData(let path)): return try await bulkData(of: item, path, exchange)
            case .item(let item, .frames(let numbers)): return try await frames(numbers, of: item, exchange)
            case .item(_, .rendered), .item(_, .thumbnail):
                throw DICOMWebError(.notFound, "rendered images are not served yet; retrieve the instance")
            }
        } catch {
            return errorResponse(error)
        }
    }

    /// What a handler needs of a request.
    struct Exchange: Sendable {
        let query: QueryParameters
        let accept: [String]
        let root: ServiceRoot

        /// The `accept` query parameters as one list.
        var acceptParameter: String? {
            let values = query.values("accept")
            return values.isEmpty ? nil : values.joined(separator: ",")
        }
    }

    func exchange(of request: Request) throws(DICOMWebError) -> Exchange {
        Exchange(
            query: try QueryParameters(query: request.uri.query),
            accept: request.headers[values: .accept],
            root: root(of: request)
        )
    }

    private func root(of request: Request) -> ServiceRoot {
        if let publicURL { return ServiceRoot(url: publicURL) }
        return ServiceRoot(path: Self.path, authority: request.head.authority) { request.headers.first(named: $0) }
    }
}

/// Mounts the DICOMweb service on a router.
package func addDICOMWebRoutes(to router: Router<some RequestContext>, service: DICOMWebService) {
    router.get("dicom-web/**") { request, _ in await service.response(to: request) }
    router.head("dicom-web/**") { request, _ in await service.response(to: request).createHeadResponse() }
    router.post("dicom-web/**") { request, _ in await service.storeResponse(to: request) }
}
