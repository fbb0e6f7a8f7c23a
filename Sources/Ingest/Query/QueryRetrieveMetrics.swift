// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import DIMSE
import Telemetry

/// What queries and retrievals count.
struct QueryRetrieveMetrics: Sendable {
    private enum Outcome: String, CaseIterable {
        case success, warning, failure, cancelled

        init(_ status: DIMSEStatus) {
            if status.isSuccess {
                self = .success
            } else if status == .cancel {
                self = .cancelled
            } else {
                self = status.isWarning ? .warning : .failure
            }
        }
    }

    private struct Key: Hashable {
        let operation: QueryRetrieveSOPClass.Operation
        let outcome: Outcome
    }

    private let operations: [Key: Counter]
    private let sentCount: Counter
    private let failedCount: Counter

    init(_ registry: MetricsRegistry) {
        let keys = QueryRetrieveSOPClass.Operation.allCases.flatMap { operation in
            Outcome.allCases.map { Key(operation: operation, outcome: $0) }
        }
        operations = Dictionary(
            uniqueKeysWithValues: keys.map { key in
                (
                    key,
                    registry.counter(
                        "varve_query_retrieve_operations_total",
                        help: "C-FIND, C-GET and C-MOVE requests, by how they ended.",
                        labels: "operation=\"\(key.operation)\",outcome=\"\(key.outcome)\""
                    )
                )
            }
        )
        func suboperations(_ outcome: String) -> Counter {
            registry.counter(
                "varve_query_retrieve_instances_total",
                help: "Instances that C-GET and C-MOVE sent or should have sent.",
                labels: "outcome=\"\(outcome)\""
            )
        }
        sentCount = suboperations("sent")
        failedCount = suboperations("failed")
    }

    func answered(_ operation: QueryRetrieveSOPClass.Operation, _ response: QueryRetrieveResponse) {
        operations[Key(operation: operation, outcome: Outcome(response.status))]?.add()
        guard let counts = response.counts else { return }
        sentCount.add(counts.completed + counts.warning)
        failedCount.add(counts.failed)
    }
}
