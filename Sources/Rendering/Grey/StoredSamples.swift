// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore

/// The stored values of a native frame of one sample a pixel, little endian: the Bits Stored up to High Bit of each.
struct StoredSamples {
    private let bytes: ByteBuffer
    private let description: ImagePixelDescription
    let count: Int

    init(_ frame: ByteBuffer, _ description: ImagePixelDescription) throws(RenderingError) {
        self.bytes = frame
        self.description = description
        self.count = description.rows * description.columns
        guard [1, 8, 16, 32].contains(description.bitsAllocated) else {
            throw RenderingError(.unsupported, "images of \(description.bitsAllocated) bits a sample are not rendered")
        }
        guard frame.readableBytes >= (count * description.bitsAllocated + 7) / 8 else {
            throw RenderingError(.damaged, "the frame has fewer bytes than its description says")
        }
    }

    /// How many values there can be; nil where that is too many for a table.
    var codeCount: Int? { description.bitsStored <= 16 ? 1 << description.bitsStored : nil }

    /// The value that a code, its bits as an unsigned number, stands for.
    func value(ofCode code: Int) -> Int {
        guard description.isSigned, code >> (description.bitsStored - 1) != 0 else { return code }
        return code - 1 << description.bitsStored
    }

    /// The codes of all pixels, in order.
    func forEachCode(_ body: (Int) -> Void) {
        let shift = description.highBit + 1 - description.bitsStored
        let mask = description.bitsStored == Int.bitWidth ? -1 : 1 << description.bitsStored - 1
        let count = count
        unsafe bytes.withUnsafeReadableBytes { bytes in
            switch description.bitsAllocated {
            case 1: for index in 0..<count { body(unsafe Int(bytes[index >> 3] >> UInt8(index & 7)) & 1) }
            case 8: for index in 0..<count { body(unsafe Int(bytes[index]) >> shift & mask) }
            case 16:
                for index in 0..<count {
                    let word = unsafe bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)
                    body(Int(UInt16(littleEndian: word)) >> shift & mask)
                }
            default:
                for index in 0..<count {
                    let word = unsafe bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)
                    body(Int(UInt32(littleEndian: word)) >> shift & mask)
                }
            }
        }
    }
}

extension StoredSamples {
    /// The grey levels of all pixels; `padding` are stored values that are not of the image.
    func levels(_ transform: GreyTransform, padding: ClosedRange<Int>?) -> [UInt8] {
        let extent = transform.voi == .extent ? extent(transform, padding: padding) : 0...0
        var levels: [UInt8] = []
        levels.reserveCapacity(count)
        if let codeCount {
            let table = (0..<codeCount).map { transform.level(of: value(ofCode: $0), extent: extent) }
            forEachCode { levels.append(table[$0]) }
        } else {
            forEachCode { levels.append(transform.level(of: value(ofCode: $0), extent: extent)) }
        }
        return levels
    }

    /// The smallest and the largest modality value, padding aside.
    private func extent(_ transform: GreyTransform, padding: ClosedRange<Int>?) -> ClosedRange<Double> {
        var lowest = Double.infinity
        var highest = -Double.infinity
        func add(_ code: Int) {
            let stored = value(ofCode: code)
            if let padding, padding.contains(stored) { return }
            let value = transform.modalityValue(of: stored)
            lowest = min(lowest, value)
            highest = max(highest, value)
        }
        if let codeCount {
            var isThere = [Bool](repeating: false, count: codeCount)
            forEachCode { isThere[$0] = true }
            for code in 0..<codeCount where isThere[code] { add(code) }
        } else {
            forEachCode(add)
        }
        return lowest <= highest ? lowest...highest : 0...0
    }
}
