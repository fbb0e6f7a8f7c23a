// SPDX-License-Identifier: Apache-2.0

package import Catalog

/// Which rejection notes are acted on without anybody having approved them.
///
/// A note deletes, so the answer is none unless the settings name senders. All ingest nodes of a cluster have to have the
/// same: a note is judged by whichever reads it.
package struct RejectionPolicy: Sendable {
    /// Calling AE titles whose notes are acted on.
    package var senders: Set<String>
    /// Whether those that came over HTTP are, too, which name no sender.
    package var actsOnHTTP: Bool
    /// Whether what is rejected for its quality stays in use: such a note waits for an approval, whoever sent it.
    package var keepsQuality: Bool

    package init(senders: Set<String> = [], actsOnHTTP: Bool = false, keepsQuality: Bool = false) {
        self.senders = senders
        self.actsOnHTTP = actsOnHTTP
        self.keepsQuality = keepsQuality
    }

    /// Why a note is not acted on; nil when it is.
    package func refusal(_ note: RejectionNote, title: RejectionTitle) -> String? {
        if !note.decidedBy.isEmpty { return nil }
        guard note.sender.isEmpty ? actsOnHTTP : senders.contains(note.sender) else {
            return note.sender.isEmpty
                ? "not acted on: it came over HTTP (rejection-notes-over-http)"
                : "not acted on: its sender may not reject (rejection-notes-from)"
        }
        if title == .quality, keepsQuality {
            return "not acted on: what is rejected for its quality stays in use (rejection-notes-quality)"
        }
        return nil
    }
}
