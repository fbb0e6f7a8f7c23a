// SPDX-License-Identifier: Apache-2.0

import DICOM
public import DIMSE
import Glibc
package import NIOCore
public import NIOPosix

/// A directory that instances are written to while they arrive, as Part 10 files `STUDY/SERIES/INSTANCE.dcm`.
///
/// Nothing is ever written outside of it: UIDs come from a peer, and one that is no UID names no file. A file appears under
/// its name when it is whole and synced; until then it is `.varve-get-*.part` in the directory itself. A file that is there
/// already is replaced. May be used from any task; writing is done on the threads of the pool.
public final class InstanceFolder: Sendable {
    /// How much of a data set may come before its Study and Series Instance UIDs, in bytes.
    public static let maximumHeadByteCount = 16 << 20

    private let descriptor: CInt
    private let sourceAETitle: AETitle
    private let pool: NIOThreadPool

    /// Opens the directory, or makes it where it is missing and the one above it is there; blocks.
    ///
    /// `sourceAETitle` goes into the files' meta information. Throws `.spool`.
    public init(_ path: String, sourceAETitle: AETitle, pool: NIOThreadPool) throws(DICOMNetworkError) {
        guard mkdir(path, 0o777) == 0 || errno == EEXIST else { throw Self.failed("make the directory \(path)") }
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failed("open the directory \(path)") }
        self.descriptor = descriptor
        self.sourceAETitle = sourceAETitle
        self.pool = pool
    }

    deinit {
        close(self.descriptor)
    }

    /// Writes an instance as it arrives; returns the answer to give to the peer.
    ///
    /// Success when it is durable; A700H when the disk failed, C000H when its UIDs name no file.
    public func write(_ store: IncomingStore) async -> StoreResponse {
        await self.write(
            sopClassUID: store.sopClassUID,
            sopInstanceUID: store.sopInstanceUID,
            transferSyntax: store.transferSyntax,
            nextPiece: { () async throws(DICOMNetworkError) in try await store.nextPiece() }
        )
    }

    /// The same for pieces from anywhere, the last followed by nil.
    package func write(
        sopClassUID: String,
        sopInstanceUID: String,
        transferSyntax: String,
        nextPiece: () async throws(DICOMNetworkError) -> ByteBuffer?
    ) async -> StoreResponse {
        do throws(DICOMNetworkError) {
            var head = ByteBuffer()
            var names: InstanceNames?
            var readAt = 0
            while names == nil {
                let piece = try await nextPiece()
                if let piece { head.writeImmutableBuffer(piece) }
                // Read again when there is twice as much: all in all that is no more than reading it twice.
                guard piece == nil || head.readableBytes >= 2 * readAt else { continue }
                readAt = head.readableBytes
                names = try InstanceNames(
                    of: head,
                    isWhole: piece == nil,
                    sopClassUID: sopClassUID,
                    sopInstanceUID: sopInstanceUID,
                    transferSyntax: transferSyntax
                )
            }
            guard let names else { return StoreResponse(.cannotUnderstand) }
            let header = try names.header(sourceAETitle: self.sourceAETitle)
            let file = try await self.onThread { [head] folder throws(DICOMNetworkError) in
                let file = try PartialFile(in: folder)
                try file.append(header)
                try file.append(head)
                return file
            }
            head = ByteBuffer()
            do throws(DICOMNetworkError) {
                while let piece = try await nextPiece() {
                    try await self.onThread { _ throws(DICOMNetworkError) in try file.append(piece) }
                }
                try await self.onThread { folder throws(DICOMNetworkError) in
                    try file.publish(
                        study: names.study,
                        series: names.series,
                        name: names.instance + ".dcm",
                        in: folder
                    )
                }
            } catch {
                // Before the answer: a thread of the pool may be the last to release the file, some time after it.
                try await self.onThread { _ throws(DICOMNetworkError) in file.discard() }
                throw error
            }
            return .success
        } catch {
            return StoreResponse(
                error.code == .usage ? .cannotUnderstand : .outOfResources,
                errorComment: error.message
            )
        }
    }

    private func onThread<Value: Sendable>(
        _ body: @escaping @Sendable (CInt) throws(DICOMNetworkError) -> Value
    ) async throws(DICOMNetworkError) -> Value {
        let result: Result<Value, DICOMNetworkError>
        do {
            result = try await self.pool.runIfActive {
                Result { () throws(DICOMNetworkError) in try body(self.descriptor) }
            }
        } catch {
            throw DICOMNetworkError(.closed, "the program is ending")
        }
        return try result.get()
    }

    static func failed(_ what: String) -> DICOMNetworkError {
        DICOMNetworkError(.spool, "cannot \(what): \(String(cString: strerror(errno)))")
    }
}

/// What an instance is filed under: UIDs that are known to be fit for names of files.
struct InstanceNames: Sendable {
    let study: String
    let series: String
    let instance: String
    private let meta: FileMeta

    /// Reads the beginning of a data set; nil when more of it is needed.
    ///
    /// Throws `.usage` when it has no UIDs, or some that cannot be names, and where they are too far in.
    init?(
        of head: ByteBuffer,
        isWhole: Bool,
        sopClassUID: String,
        sopInstanceUID: String,
        transferSyntax: String
    ) throws(DICOMNetworkError) {
        guard let syntax = TransferSyntax.known(transferSyntax) else {
            throw DICOMNetworkError(.usage, "the transfer syntax is not known")
        }
        let dataSet: DataSet
        do throws(DICOMError) {
            dataSet = try DataSetReader.read(head, transferSyntax: syntax, stopBefore: Tag(0x0020, 0x000F)).dataSet
        } catch {
            guard isWhole || head.readableBytes > InstanceFolder.maximumHeadByteCount else { return nil }
            throw DICOMNetworkError(.usage, "its Study and Series Instance UID cannot be read", cause: error)
        }
        // A reader that comes to the end of what has arrived may have stopped between two elements.
        if !isWhole, dataSet.string(.seriesInstanceUID) == nil,
            head.readableBytes <= InstanceFolder.maximumHeadByteCount
        {
            return nil
        }
        do throws(DICOMError) {
            let instance = try UID(lenient: sopInstanceUID)
            self.study = try UID(lenient: dataSet.string(.studyInstanceUID) ?? "").string
            self.series = try UID(lenient: dataSet.string(.seriesInstanceUID) ?? "").string
            self.instance = instance.string
            self.meta = FileMeta(
                sopClassUID: try UID(lenient: sopClassUID),
                sopInstanceUID: instance,
                transferSyntax: syntax
            )
        } catch {
            throw DICOMNetworkError(.usage, "its UIDs are missing or cannot name files", cause: error)
        }
    }

    /// Preamble and file meta information.
    func header(sourceAETitle: AETitle) throws(DICOMNetworkError) -> ByteBuffer {
        var meta = self.meta
        meta.elements.set(.sourceApplicationEntityTitle, .ae, sourceAETitle.value)
        do throws(DICOMError) {
            return try Part10.write(meta)
        } catch {
            throw DICOMNetworkError(.usage, "its file meta information cannot be written", cause: error)
        }
    }
}
