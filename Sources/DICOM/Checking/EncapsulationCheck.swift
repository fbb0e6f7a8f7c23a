// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Checks the fragments of encapsulated Pixel Data and their offset tables (PS3.5 annex A.4).
struct EncapsulationCheck {
    /// Where fragments are, without their bytes.
    struct Layout {
        var basicOffsetTable: [UInt32]
        /// Bytes of the first item; a table has four for each offset.
        var basicOffsetTableByteCount: Int
        var fragmentByteCounts: [Int]

        init(_ value: EncapsulatedValue, _ dataSet: DataSet) {
            var table = value.basicOffsetTable
            self.basicOffsetTableByteCount = table.readableBytes
            self.basicOffsetTable = []
            let order: Endianness = dataSet.encoding.isBigEndian ? .big : .little
            while let offset = table.readInteger(endianness: order, as: UInt32.self) {
                self.basicOffsetTable.append(offset)
            }
            self.fragmentByteCounts = value.fragments.map(\.readableBytes)
        }

        init(_ location: PixelDataLocation) {
            self.basicOffsetTable = location.basicOffsetTable
            self.basicOffsetTableByteCount = location.basicOffsetTableRange.count
            self.fragmentByteCounts = location.fragments.map(\.byteCount)
        }
    }

    let layout: Layout
    let frameCount: Int
    let transferSyntax: TransferSyntax
    let dataSet: DataSet
    let path: (Tag) -> String

    func run(_ report: inout CheckReport) {
        self.checkFragments(&report)
        self.checkBasicTable(&report)
        self.checkExtendedTable(&report)
    }

    /// MPEG-2, MPEG-4 and HEVC: one stream holds all frames.
    static func isVideo(_ syntax: TransferSyntax) -> Bool {
        let prefix = "1.2.840.10008.1.2.4.10"
        return syntax.uid.string.hasPrefix(prefix) && syntax.uid.string.utf8.count == prefix.utf8.count + 1
    }

    private var isOneFragmentAFrame: Bool {
        self.transferSyntax == .rleLossless || self.transferSyntax.uid.string == "1.2.840.10008.1.2.1.98"
    }

    private func checkFragments(_ report: inout CheckReport) {
        let place = self.path(.pixelData)
        let count = self.layout.fragmentByteCounts.count
        for (number, byteCount) in self.layout.fragmentByteCounts.enumerated() where byteCount % 2 != 0 {
            report.add(.oddLength, place, "fragment \(number + 1) has \(byteCount) bytes, an odd number")
        }
        let emptyCount = self.layout.fragmentByteCounts.count { $0 == 0 }
        if emptyCount > 0 { report.add(.fragments, place, "\(emptyCount) of \(count) fragments are empty") }
        guard !Self.isVideo(self.transferSyntax) else {
            if count == 0 { report.add(.fragments, place, "there is no fragment") }
            return
        }
        if count < self.frameCount {
            report.add(.fragments, place, "there are \(count) fragments, but \(self.frameCount) frames")
        } else if self.isOneFragmentAFrame, count != self.frameCount {
            report.add(
                .fragments,
                place,
                "there are \(count) fragments, but \(self.frameCount) frames; \(self.transferSyntax.name) has one each"
            )
        }
        let hasTable = !self.layout.basicOffsetTable.isEmpty || self.dataSet[.extendedOffsetTable] != nil
        if !hasTable, self.frameCount > 1, count > self.frameCount, !self.isOneFragmentAFrame {
            report.add(
                .frameBoundaries,
                place,
                "\(self.frameCount) frames are in \(count) fragments and no offset table says how"
            )
        }
    }

    /// Offsets of the items of fragments, relative to the first.
    private var starts: [Int] {
        var starts: [Int] = []
        starts.reserveCapacity(self.layout.fragmentByteCounts.count)
        var offset = 0
        for byteCount in self.layout.fragmentByteCounts {
            starts.append(offset)
            offset += 8 + byteCount
        }
        return starts
    }

    private func checkBasicTable(_ report: inout CheckReport) {
        let place = self.path(.pixelData)
        let table = self.layout.basicOffsetTable
        if self.layout.basicOffsetTableByteCount % 4 != 0 {
            report.add(
                .offsetTable,
                place,
                "the basic offset table has \(self.layout.basicOffsetTableByteCount) bytes, no multiple of 4"
            )
            return
        }
        guard !table.isEmpty else { return }
        if self.dataSet[.extendedOffsetTable] != nil {
            report.add(.extendedOffsetTable, place, "the basic offset table is not empty beside an extended one")
        }
        self.check(table.map(Int.init), "basic offset table", .offsetTable, place, &report)
    }

    private func check(
        _ table: [Int],
        _ name: String,
        _ rule: CheckRule,
        _ place: String,
        _ report: inout CheckReport
    ) {
        if table.count != self.frameCount, !Self.isVideo(self.transferSyntax) {
            report.add(rule, place, "the \(name) has \(table.count) offsets for \(self.frameCount) frames")
        }
        if table.first != 0 { report.add(rule, place, "the first offset of the \(name) is not 0") }
        if zip(table, table.dropFirst()).contains(where: { $0 >= $1 }) {
            report.add(rule, place, "the offsets of the \(name) do not grow")
        }
        let starts = Set(self.starts)
        let strayCount = table.count { !starts.contains($0) }
        if strayCount > 0 {
            report.add(rule, place, "\(strayCount) of \(table.count) offsets of the \(name) point at no fragment")
        }
    }

    private func checkExtendedTable(_ report: inout CheckReport) {
        let place = self.path(.extendedOffsetTable)
        guard self.dataSet[.extendedOffsetTable] != nil else {
            if self.dataSet[.extendedOffsetTableLengths] != nil {
                report.add(.extendedOffsetTable, place, "there are lengths, but no extended offset table")
            }
            return
        }
        let table = self.dataSet.integers(.extendedOffsetTable)
        self.check(table, "extended offset table", .extendedOffsetTable, place, &report)
        guard self.dataSet[.extendedOffsetTableLengths] != nil else {
            report.add(.extendedOffsetTable, place, "the extended offset table has no lengths beside it")
            return
        }
        let lengths = self.dataSet.integers(.extendedOffsetTableLengths)
        guard lengths.count == table.count else {
            report.add(.extendedOffsetTable, place, "there are \(table.count) offsets, but \(lengths.count) lengths")
            return
        }
        let byStart = Dictionary(zip(self.starts, self.layout.fragmentByteCounts)) { first, _ in first }
        // A frame's last byte may be padding of its fragment.
        let wrongCount = zip(table, lengths).count { start, length in
            byStart[start].map { $0 != length && $0 != length + 1 } ?? false
        }
        if wrongCount > 0 {
            report.add(.extendedOffsetTable, place, "\(wrongCount) lengths differ from those of their fragments")
        }
    }
}
