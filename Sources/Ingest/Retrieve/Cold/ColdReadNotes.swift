// SPDX-License-Identifier: Apache-2.0

/// What readers wanted of packs, for those who have studies come back.
package struct ColdReadNotes: Sendable {
    /// Studies that were read from packs.
    package let read = AccessNotes()
    /// Studies that somebody waits for, because their packs are on media that are not at hand.
    package let offline = AccessNotes()

    package init() {}
}
