// SPDX-License-Identifier: Apache-2.0

package import DICOM
package import NIOCore

/// Turns a Part 10 stream into the data set that C-STORE carries, as it passes.
///
/// A value for one stream: without the preamble and file meta information; and in another native syntax than Explicit VR
/// Little Endian, for which the stream is gathered first.
package struct OutgoingDataSet {
    private let syntax: TransferSyntax?
    private var hasPassedHeader = false
    private var gathered = ByteBuffer()

    /// `syntax` is the one to write in; nil when the stream is in the right one.
    package init(syntax: TransferSyntax? = nil) {
        self.syntax = syntax == .explicitVRLittleEndian ? nil : syntax
    }

    /// What can be sent after the next buffers of the stream.
    package mutating func add(_ buffers: [ByteBuffer]) throws(RetrieveFailure) -> [ByteBuffer] {
        var ready: [ByteBuffer] = []
        for buffer in buffers where buffer.readableBytes > 0 {
            guard let dataSet = try withoutHeader(buffer) else { continue }
            if syntax == nil {
                ready.append(dataSet)
            } else {
                gathered.writeImmutableBuffer(dataSet)
            }
        }
        return ready.filter { $0.readableBytes > 0 }
    }

    /// What is left at the end of the stream.
    package mutating func finish() throws(RetrieveFailure) -> [ByteBuffer] {
        guard let syntax else { return [] }
        do throws(DICOMError) {
            let dataSet = try DataSetReader.read(gathered, transferSyntax: .explicitVRLittleEndian)
                .dataSet
            gathered = ByteBuffer()
            var options = DataSetWriter.Options()
            options.omitsGroupLengths = true
            return [try DataSetWriter.write(dataSet, transferSyntax: syntax, options: options)]
        } catch {
            throw RetrieveFailure(.notAcceptable, "it cannot be written as \(syntax.name): \(error)")
        }
    }

    /// The stream's first buffer holds its header whole: that is how `PreparedInstance` makes them.
    private mutating func withoutHeader(_ buffer: ByteBuffer) throws(RetrieveFailure) -> ByteBuffer? {
        if hasPassedHeader { return buffer }
        hasPassedHeader = true
        do throws(DICOMError) {
            return buffer.slice(from: try Part10.readHeader(buffer).dataSetOffset)
        } catch {
            throw RetrieveFailure(
                .damaged,
                "the stored stream has no readable file meta information: \(error)"
            )
        }
    }
}
