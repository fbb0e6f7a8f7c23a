// SPDX-License-Identifier: Apache-2.0

import DICOM
package import DICOMWeb
package import Hummingbird
package import Logging
import NIOCore
import ReplicationTransport
import Telemetry

/// The DICOMweb service of an ingest node (PS3.18): QIDO-RS, WADO-RS and STOW-RS over the archive.
///
/// A value that all requests share; it keeps nothing between them.
package struct DICOMWebService: Sendable {
    /// Where the service is mounted.
    package static let path = "/dicom-web"
    /// The most results of one search, whatever its limit.
    package static let maximumResultCount = 5000

    let retrieve: RetrieveService
    /// Keeps the metadata of whole series; nil when none are.
    let seriesMetadata: SeriesMetadata?
    /// Takes what is stored by HTTP; nil when nothing is.
    let receiver: (any InstanceReceiver)?
    /// Deletes by HTTP; nil when nothing does.
    let deleter: (any InstanceDeleter)?
    /// Store transactions of whole instances at once.
    let storePlaces = Budget(limit: maximumStoreCount)
    /// Of each store transaction that comes as metadata and bulk data.
    let describedStoreLimits: DescribedStoreLimits
    /// Store transactions of metadata and bulk data at once.
    let describedStorePlaces = Budget(limit: maximumDescribedStoreCount)
    /// Notes who reads which study; nil when nobody does.
    let accessNotes: AccessNotes?
    /// The URL of the service as clients see it; when nil, it is taken from each request and its proxy's headers.
    let publicURL: String?
    /// Pages of which other origins may read.
    let crossOrigin: CrossOriginPolicy
    /// The software's, which shapes what is made here of what is stored.
    let version: String
    let logger: Logger

    package init(
        retrieve: RetrieveService,
        seriesMetadata: SeriesMetadata? = nil,
        receiver: (any InstanceReceiver)? = nil,
        deleter: (any InstanceDeleter)? = nil,
        accessNotes: AccessNotes? = nil,
        publicURL: String? = nil,
        crossOrigin: CrossOriginPolicy = CrossOriginPolicy(),
        version: String = "",
        describedStoreLimits: DescribedStoreLimits = DescribedStoreLimits(),
        logger: Logger
    ) {
        self.retrieve = retrieve
        self.seriesMetadata = seriesMetadata
        self.receiver = receiver
        self.deleter = deleter
        self.accessNotes = accessNotes
        self.publicURL = publicURL
        self.crossOrigin = crossOrigin
        self.version = version
        self.describedStoreLimits = describedStoreLimits
        self.logger = logger
    }

    /// The data dictionary, for keywords in queries.
    static let dictionary = AttributeDictionary { DataDictionary.tag(forKeyword: $0)?.rawValue }

    /// Answers one GET, errors included.
    func response(to request: Request, eventLoop: (any EventLoop)?) async -> Response {
        do {
            let path = request.uri.path.dropFirst(Self.path.utf8.count)
            let resource = try DICOMWebResource(path: path)
            let exchange = try exchange(of: request, eventLoop: eventLoop)
            let response = try await withTaskExecutorPreference(Self.executor(for: resource, exchange)) {
                try await self.response(to: resource, exchange)
            }
            noteAccess(to: resource, by: request)
            return response
        } catch {
            return errorResponse(error)
        }
    }

    /// Notes that a study was read; searches do not count, nor does it when the archive looks at its own samples.
    private func noteAccess(to resource: DICOMWebResource, by request: Request) {
        guard let accessNotes, case .item(let item, _) = resource,
            request.headers[.userAgent] != WatchClient.userAgent
        else { return }
        accessNotes.note(item.study, at: Timestamp.now().milliseconds)
    }

    /// Where a request is answered: what is mostly passed on stays on its connection's event loop, which it leaves by itself
    /// where there is more to do.
    private static func executor(for resource: DICOMWebResource, _ exchange: Exchange) -> any TaskExecutor {
        switch resource {
        case .item(_, .frames): return exchange.executor ?? globalConcurrentExecutor
        // A study may have thousands of instances, which are chosen among and counted into its tag first.
        case .item(let item, .whole) where item.instance != nil: return exchange.executor ?? globalConcurrentExecutor
        default: return globalConcurrentExecutor
        }
    }

    private func response(to resource: DICOMWebResource, _ exchange: Exchange) async throws -> Response {
        switch resource {
        case .collection: try await search(resource, exchange)
        case .item(let item, .whole): try await instances(of: item, exchange)
        case .item(let item, .metadata): try await metadata(of: item, exchange)
        case .item(let item, .bulkData(let path)): try await bulkData(of: item, path, exchange)
        case .item(let item, .frames(let numbers)): try await frames(numbers, of: item, exchange)
        case .item(let item, .rendered): try await rendered(item, frames: nil, exchange)
        case .item(let item, .renderedFrames(let numbers)): try await rendered(item, frames: numbers, exchange)
        case .item(let item, .thumbnail): try await thumbnail(item, frames: nil, exchange)
        case .item(let item, .frameThumbnail(let numbers)):
            try await thumbnail(item, frames: numbers, exchange)
        }
    }

    /// What a handler needs of a request.
    struct Exchange: Sendable {
        let query: QueryParameters
        let accept: [String]
        let root: ServiceRoot
        let version: String
        let ifNoneMatch: [String]
        let takesGzip: Bool
        let rangeHeader: String?
        let ifRange: String?
        /// The connection's event loop, for work that hardly computes: reading and writing without a change of thread.
        let executor: EventLoopExecutor?

        /// The `accept` query parameters as one list.
        var acceptParameter: String? {
            let values = query.values("accept")
            return values.isEmpty ? nil : values.joined(separator: ",")
        }
    }

    func exchange(
        of request: Request,
        eventLoop: (any EventLoop)? = nil
    ) throws(DICOMWebError) -> Exchange {
        Exchange(
            query: try QueryParameters(query: request.uri.query),
            accept: request.headers[values: .accept],
            root: root(of: request),
            version: version,
            ifNoneMatch: request.headers[values: .ifNoneMatch],
            takesGzip: ContentCoding.takesGzip(request.headers[values: .acceptEncoding]),
            rangeHeader: request.method == .get ? request.headers[.range] : nil,
            ifRange: request.headers[.ifRange],
            executor: eventLoop.map { EventLoopExecutor($0) }
        )
    }

    private func root(of request: Request) -> ServiceRoot {
        if let publicURL { return ServiceRoot(url: publicURL) }
        return ServiceRoot(path: Self.path, authority: request.head.authority) { request.headers.first(named: $0) }
    }
}

/// Mounts the DICOMweb service on a router.
package func addDICOMWebRoutes(to router: Router<some RequestContext>, service: DICOMWebService) {
    for method: HTTPRequest.Method in [.get, .head, .post, .options, .put, .delete, .patch] {
        for path: RouterPath in ["dicom-web", "dicom-web/**"] {
            router.on(path, method: method) { request, context in
                await service.answer(request, client: context.clientName, eventLoop: context.connectionEventLoop)
            }
        }
    }
}
