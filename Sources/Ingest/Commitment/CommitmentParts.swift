// SPDX-License-Identifier: Apache-2.0

import Catalog
import ClusterClient
import DIMSE
import Logging
import NIOCore
import Placement
import Telemetry

/// Storage commitment of an ingest node: who takes the requests, and who works on them.
struct CommitmentParts {
    let service: CommitmentService
    let worker: CommitmentWorker

    /// `incarnation` is new with every start: requests that the process before had claimed are not this one's.
    init(
        _ configuration: IngestConfiguration,
        catalog: Catalog,
        cluster: ClusterClient,
        packs: PackLibrary,
        destinations: [AETitle: MoveDestination],
        incarnation: NodeID,
        metrics: MetricsRegistry,
        group: any EventLoopGroup,
        logger: Logger
    ) {
        let holder = "\(configuration.name) \(incarnation)"
        let reporters = CommitmentReporters()
        service = CommitmentService(ledger: catalog, reporters: reporters, holder: holder, logger: logger)
        worker = CommitmentWorker(
            ledger: catalog,
            check: CommitmentCheck(
                catalog: catalog,
                cluster: cluster,
                packs: packs,
                wantedCopies: configuration.copies
            ),
            delivery: CommitmentDelivery(
                reporters: reporters,
                destinations: destinations,
                group: group,
                logger: logger
            ),
            schedule: CommitmentSchedule(patience: .seconds(configuration.commitmentPatienceSeconds)),
            holder: holder,
            metrics: CommitmentMetrics(metrics),
            logger: logger
        )
    }
}
