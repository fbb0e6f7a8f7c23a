// SPDX-License-Identifier: Apache-2.0

import Ingest
import Testing

@Suite struct AccessNotesTests {
    @Test func `a study is written once an hour`() {
        let notes = AccessNotes()
        notes.note("1", at: 1_000)
        notes.note("2", at: 2_000)
        notes.note("1", at: 3_000)
        #expect(notes.take() == ["1": 1_000, "2": 2_000])
        #expect(notes.take().isEmpty)
        notes.note("1", at: 1_000 + AccessNotes.interval - 1)
        #expect(notes.take().isEmpty)
        notes.note("1", at: 1_000 + AccessNotes.interval)
        #expect(notes.take() == ["1": 1_000 + AccessNotes.interval])
    }

    @Test func `what could not be written is written later`() {
        let notes = AccessNotes()
        notes.note("1", at: 1_000)
        let taken = notes.take()
        notes.putBack(taken)
        notes.note("1", at: 5_000)
        notes.note("2", at: 5_000)
        #expect(notes.take() == ["1": 1_000, "2": 5_000])
    }

    @Test func `what is put back later than a newer note does not replace it`() {
        let notes = AccessNotes()
        notes.note("1", at: 1_000)
        let taken = notes.take()
        notes.note("1", at: 1_000 + AccessNotes.interval)
        notes.putBack(taken)
        #expect(notes.take() == ["1": 1_000 + AccessNotes.interval])
    }

    @Test func `memory is bounded`() {
        let notes = AccessNotes()
        for study in 0..<AccessNotes.pendingLimit + 10 { notes.note("\(study)", at: 1_000) }
        let first = notes.take()
        #expect(first.count == AccessNotes.pendingLimit)
        for round in 1...3 {
            for study in 0..<AccessNotes.pendingLimit { notes.note("\(round).\(study)", at: 1_000) }
            #expect(notes.take().count == AccessNotes.pendingLimit)
        }
        // Forgotten by now, and noted again.
        notes.note("1", at: 1_001)
        #expect(notes.take() == ["1": 1_001])
    }
}
