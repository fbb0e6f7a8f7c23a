// SPDX-License-Identifier: Apache-2.0

/// Namespace of the generated text of the UID registry.
enum UIDRegistryText {}

/// The UIDs of PS3.6 annex A.
public enum UIDRegistry {
    /// The name PS3.6 gives `uid`.
    public static func name(of uid: UID) -> String? {
        self.table.names[uid.string]
    }

    /// True for the storage SOP classes of PS3.6, retired and DICOS ones included.
    public static func isStorageSOPClass(_ uid: UID) -> Bool {
        self.table.storageClassSet.contains(uid.string)
    }

    /// The storage SOP classes in the order of the standard, retired ones included.
    public static var allStorageSOPClasses: [UID] { self.table.storageClasses }

    static var transferSyntaxes: [String: TransferSyntax] { self.table.transferSyntaxes }
    static var orderedTransferSyntaxes: [TransferSyntax] { self.table.orderedTransferSyntaxes }

    private static let table = Table(text: UIDRegistryText.text)

    private struct Table: Sendable {
        var names: [String: String] = [:]
        var storageClasses: [UID] = []
        var storageClassSet: Set<String> = []
        var transferSyntaxes: [String: TransferSyntax] = [:]
        var orderedTransferSyntaxes: [TransferSyntax] = []

        /// Lines of `uid|kind flag|name`.
        init(text: String) {
            for line in text.split(separator: "\n") {
                let fields = line.split(separator: "|", maxSplits: 2)
                guard fields.count == 3 else { continue }
                let uid = String(fields[0])
                let name = String(fields[2])
                self.names[uid] = name
                switch fields[1].first {
                case "T":
                    let syntax = TransferSyntax(uid: uid, name: name, isRetired: fields[1].last == "R")
                    self.transferSyntaxes[uid] = syntax
                    self.orderedTransferSyntaxes.append(syntax)
                case "S":
                    self.storageClasses.append(UID(unchecked: uid))
                    self.storageClassSet.insert(uid)
                default: break
                }
            }
        }
    }
}
