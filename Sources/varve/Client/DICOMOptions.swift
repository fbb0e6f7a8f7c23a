// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DICOMNetworking
import DIMSE
import Logging
import NIOPosix

/// The peer of the DICOM client commands.
struct DICOMOptions: ParsableArguments {
    @Option(help: "The peer's host name or address.") var host = "127.0.0.1"
    @Option(help: "The peer's DICOM port.") var port = 11112
    @Option(help: "The AE title to call.") var called = "VARVE"
    @Option(help: "Our AE title.") var calling = "VARVE_CLI"

    func client() throws -> DICOMClient {
        DICOMClient(
            configuration: DICOMClientConfiguration(
                host: host,
                port: port,
                callingAETitle: try AETitle(calling),
                calledAETitle: try AETitle(called)
            ),
            group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "client") { _ in SwiftLogNoOpLogHandler() }
        )
    }
}
