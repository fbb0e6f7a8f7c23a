// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMNetworking
import DICOMWeb
import NIOCore

/// Bounds on a store transaction of metadata and bulk data; reaching one is 413, and nothing of it is stored.
package struct DescribedStoreLimits: Sendable {
    /// Bytes of the metadata, which are kept in memory.
    package var metadataByteCount = 64 << 20
    /// Bytes of all bulk data, which are in the spool.
    package var bulkDataByteCount = 1 << 36

    package init() {}
}

/// A store transaction of metadata and bulk data while it arrives (PS3.18 §10.5.1.1): the metadata first, then the parts.
///
/// Parts may come in any order, so nothing is stored before all have: then one instance after the other is put together
/// and goes the way of every other, and what it lacks is its own failure. For one task, which ends with ``finish()``, or
/// by being given up.
final class MetadataReception {
    private enum Part {
        case none
        case metadata(ByteBuffer)
        case bulkData(location: String, type: String?, start: Int, head: ByteBuffer)
        /// Nobody refers to it: its bytes are passed over.
        case unclaimed
    }

    /// What of a part is looked at to tell its transfer syntax.
    private static let headByteCount = 1 << 20
    private static let pieceByteCount = 1 << 20

    private let receiver: any InstanceReceiver
    private let study: String?
    private let base: URIReference
    private let limits: DescribedStoreLimits
    private let spool: BulkDataSpool

    private var part = Part.none
    private var hasMetadata = false
    private var described: [Result<DescribedInstance, DICOMWebError>] = []
    private var locations: Set<String> = []
    private var parts = BulkDataParts()
    /// Where in the spool each part begins.
    private var starts: [Int] = []
    private var unclaimedCount = 0

    /// `study` is the one that instances have to be of, if any; `url` that of the request.
    init(receiver: any InstanceReceiver, study: String?, url: String, limits: DescribedStoreLimits) {
        self.receiver = receiver
        self.study = study
        self.base = URIReference(url)
        self.limits = limits
        self.spool = BulkDataSpool(receiver: receiver)
    }

    func take(_ event: MultipartReader.Event) async throws(DICOMWebError) {
        switch event {
        case .partBegins(let headers): try begin(headers)
        case .bytes(let bytes): try await append(bytes)
        case .partEnds: try end()
        case .end: break
        }
    }

    private func begin(_ headers: [MultipartReader.Header]) throws(DICOMWebError) {
        func value(_ name: String) -> String? { headers.first { $0.name == name }?.value }
        let type = value("content-type")
        guard hasMetadata else {
            guard let type, try MediaType(parsing: type).essence == "application/dicom+json" else {
                throw DICOMWebError(
                    .badRequest,
                    "the first part has to be the metadata, with Content-Type: application/dicom+json "
                        + "(PS3.18 section 10.5.1.1)"
                )
            }
            part = .metadata(ByteBuffer())
            return
        }
        let location = value("content-location").map { DescribedInstance.location($0, base) }
        if let location, locations.contains(location) {
            part = .bulkData(location: location, type: type, start: spool.byteCount, head: ByteBuffer())
        } else {
            part = .unclaimed
        }
    }

    /// Takes the next bytes of the part; waits while they are written.
    private func append(_ bytes: ByteBuffer) async throws(DICOMWebError) {
        switch part {
        case .metadata(var text):
            part = .none
            guard text.readableBytes + bytes.readableBytes <= limits.metadataByteCount else {
                throw DICOMWebError(
                    .contentTooLarge,
                    "the metadata have more than \(limits.metadataByteCount) bytes; store fewer instances at once"
                )
            }
            text.writeImmutableBuffer(bytes)
            part = .metadata(text)
        case .bulkData(let location, let type, let start, var head):
            guard spool.byteCount + bytes.readableBytes <= limits.bulkDataByteCount else {
                throw DICOMWebError(
                    .contentTooLarge,
                    "the bulk data have more than \(limits.bulkDataByteCount) bytes; store fewer instances at once"
                )
            }
            part = .none
            if let more = bytes.getSlice(
                at: bytes.readerIndex,
                length: min(bytes.readableBytes, Self.headByteCount - head.readableBytes)
            ) {
                head.writeImmutableBuffer(more)
            }
            part = .bulkData(location: location, type: type, start: start, head: head)
            do throws(DICOMNetworkError) {
                try await spool.append(bytes)
            } catch {
                throw Self.notKept(error)
            }
        case .unclaimed, .none: break
        }
    }

    private func end() throws(DICOMWebError) {
        switch part {
        case .metadata(let text): try readMetadata(text)
        case .bulkData(let location, let type, let start, let head):
            starts.append(start)
            parts.append(
                BulkDataPart(
                    location: location,
                    content: BulkDataPart.Content(contentType: type, head: head),
                    byteCount: spool.byteCount - start
                )
            )
        case .unclaimed: unclaimedCount += 1
        case .none: break
        }
        part = .none
    }

    private func readMetadata(_ text: ByteBuffer) throws(DICOMWebError) {
        hasMetadata = true
        let texts: [ByteBuffer]
        do throws(DICOMError) {
            texts = try DICOMJSON.split(text)
        } catch {
            throw DICOMWebError(.badRequest, "the metadata are not an array of data sets: \(error)")
        }
        for text in texts {
            let one = Result { () throws(DICOMWebError) in try DescribedInstance(text, base: base) }
            if case .success(let instance) = one { locations.formUnion(instance.locations) }
            described.append(one)
        }
    }

    /// The body is whole: stores what it describes and tells of each instance what became of it.
    ///
    /// Parts that nobody refers to are one failure without UIDs: the sender meant something with them.
    func finish() async throws(DICOMWebError) -> [ReceivedOutcome] {
        guard hasMetadata else { return [] }
        var outcomes: [ReceivedOutcome] = []
        do throws(DICOMNetworkError) {
            try await spool.finish()
        } catch {
            throw Self.notKept(error)
        }
        for one in described {
            switch one {
            case .success(let instance): outcomes.append(await store(instance))
            case .failure(let error): outcomes.append(ReceivedOutcome(StoreFailure(.malformed, error.message)))
            }
        }
        if unclaimedCount > 0 {
            let reason = "\(unclaimedCount) parts have no Content-Location that is a BulkDataURI of the metadata"
            outcomes.append(ReceivedOutcome(StoreFailure(.malformed, reason)))
        }
        return outcomes
    }

    private static func notKept(_ error: DICOMNetworkError) -> DICOMWebError {
        DICOMWebError(.unavailable, "the bulk data can't be kept until all have arrived: \(error.message)")
    }

    private func store(_ instance: DescribedInstance) async -> ReceivedOutcome {
        do throws(StoreFailure) {
            let assembled = try await assemble(instance)
            if assembled.byteCount <= receiver.maximumInMemoryByteCount {
                var dataSet = ByteBuffer()
                dataSet.reserveCapacity(assembled.byteCount)
                try await forEachPiece(of: assembled) { bytes throws(DICOMNetworkError) in
                    dataSet.writeImmutableBuffer(bytes)
                }
                return await receiver.receive(dataSet, transferSyntax: assembled.transferSyntax, study: study)
            }
            return await storeSpooled(assembled)
        } catch {
            var outcome = ReceivedOutcome(error)
            outcome.sopClassUID = instance.sopClassUID
            outcome.sopInstanceUID = instance.sopInstanceUID
            outcome.studyInstanceUID = instance.studyInstanceUID
            outcome.seriesInstanceUID = instance.seriesInstanceUID
            return outcome
        }
    }

    private func assemble(_ instance: DescribedInstance) async throws(StoreFailure) -> AssembledDataSet {
        do {
            var values: [Int: ByteBuffer] = [:]
            for index in try instance.inMemory(parts) where values[index] == nil {
                values[index] = try await spool.read(range(of: index))
            }
            return try instance.assembled(from: parts, values: values)
        } catch let error as DICOMWebError {
            throw StoreFailure(.malformed, error.message)
        } catch {
            throw StoreFailure(.unavailable, "\(error)")
        }
    }

    /// Stores from another place in the spool, into which the data set is written while it is stored.
    private func storeSpooled(_ assembled: AssembledDataSet) async -> ReceivedOutcome {
        let intake = receiver.makeIntake()
        let (receiver, study, dataSet) = (receiver, study, intake.dataSet)
        // Ends when the intake does, and is awaited below.
        let storing = Task {
            await receiver.receive(dataSet, transferSyntax: assembled.transferSyntax, study: study)
        }
        do throws(StoreFailure) {
            try await forEachPiece(of: assembled) { bytes throws(DICOMNetworkError) in try await intake.append(bytes) }
            // An error is the store task's, too.
            try? await intake.finish()
        } catch {
            intake.cancel()
        }
        return await storing.value
    }

    private func forEachPiece(
        of assembled: AssembledDataSet,
        _ take: (ByteBuffer) async throws(DICOMNetworkError) -> Void
    ) async throws(StoreFailure) {
        do throws(DICOMNetworkError) {
            for piece in assembled.pieces {
                switch piece {
                case .bytes(let bytes): try await take(bytes)
                case .part(let index):
                    let range = range(of: index)
                    for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.pieceByteCount) {
                        try await take(
                            try await spool.read(start..<min(start + Self.pieceByteCount, range.upperBound))
                        )
                    }
                }
            }
        } catch {
            throw StoreFailure(.unavailable, error.message)
        }
    }

    private func range(of index: Int) -> Range<Int> { starts[index]..<starts[index] + parts.all[index].byteCount }
}
