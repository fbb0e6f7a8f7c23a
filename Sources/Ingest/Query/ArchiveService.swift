// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMNetworking
import DIMSE

/// All that an ingest node answers over DIMSE: verification, storage, query, retrieval and storage commitment.
final class ArchiveService: DIMSEService {
    private let storage: StoreService
    private let find: FindService
    private let get: GetService
    private let move: MoveService
    private let commitment: CommitmentService

    private let metrics: QueryRetrieveMetrics

    init(
        storage: StoreService,
        find: FindService,
        get: GetService,
        move: MoveService,
        commitment: CommitmentService,
        metrics: QueryRetrieveMetrics
    ) {
        self.metrics = metrics
        self.storage = storage
        self.find = find
        self.get = get
        self.move = move
        self.commitment = commitment
    }

    /// What is served of Query/Retrieve, and what extended negotiation can add.
    static let queryRetrieveSOPClasses: [String: QueryRetrieveOptions] = Dictionary(
        uniqueKeysWithValues: QueryRetrieveSOPClass.all.map { sopClass in
            (sopClass.uid, sopClass.operation == .find ? [.relational, .combinedDateTime, .fuzzyNames] : [.relational])
        }
    )

    func negotiate(_ request: AssociationRequestInfo) -> AssociationDecision { storage.negotiate(request) }

    func echo(_ context: AssociationContext) async -> DIMSEStatus { .success }

    func store(
        _ request: StoreRequest,
        dataSet: ReceivedDataSet,
        context: AssociationContext
    ) async -> StoreResponse {
        await storage.store(request, dataSet: dataSet, context: context)
    }

    func answer(
        _ request: QueryRetrieveRequest,
        exchange: RequestExchange,
        context: AssociationContext
    ) async -> QueryRetrieveResponse {
        let operation = request.sopClass.operation
        let response: QueryRetrieveResponse
        if let refusal = Self.refusal(of: request) {
            response = QueryRetrieveResponse(refusal)
        } else {
            response =
                switch operation {
                case .find: await find.answer(request, exchange: exchange)
                case .get: await get.answer(request, exchange: exchange)
                case .move: await move.answer(request, exchange: exchange, requestor: context.callingAETitle)
                }
        }
        metrics.answered(operation, response)
        return response
    }

    /// Why a retrieval is not carried out that needs what extended negotiation has not granted; nil where it does not.
    private static func refusal(of request: QueryRetrieveRequest) -> QueryRefusal? {
        guard request.sopClass.operation != .find, !request.options.contains(.relational) else { return nil }
        do throws(QueryRefusal) {
            try RetrieveKeys(try request.readIdentifier().dataSet, model: request.sopClass.model).requireKeysAbove()
            return nil
        } catch {
            return error
        }
    }

    func act(_ request: ActionRequest, reporter: EventReporter, context: AssociationContext) async -> ActionResponse {
        await commitment.act(
            request,
            reporter: reporter,
            requestor: context.callingAETitle,
            called: context.calledAETitle
        )
    }
}
