// SPDX-License-Identifier: Apache-2.0

/// Seeds that once found something; each is run again by the tests.
///
/// What a seed does changes whenever the simulator does: a seed here is a reminder of what was found, and one more run.
package enum Regressions {
    package static let seeds: [(seed: UInt64, found: String)] = [
        (25, "the journal's directory was not durable, and a loss of power took what was synced in it"),
        (35, "as 25, on another way"),
        (49, "a journal file whose removal was not synced stood in the way of all that came later"),
        (177, "an instance noted without the catalog, refused by it later, and reported (docs/decisions/0025)"),
        (192, "an entry whose record was deleted while it was on its way stays in the journal"),
        (29, "a hold that one node could not read kept all others from being healed"),
        (484, "as 29, on another way"),
        (589, "a node was certain again before the catalog knew what it had acknowledged without it"),
        (2819, "a rotten tail of a segment that the manifest had lost was taken for a torn write"),
        (24811, "a read that failed once hid what rotted at the same place later"),
        (36329, "as 24811, found by a check of the disk"),
        (37093, "what was entered while a node was compared fell between two questions"),
        (36550, "a first copy was lost, and the loss forgiven, before the second was there"),
        (3430, "damage that went on behind known damage was taken for known"),
        (4387, "a tombstone that a start could not read was given up by healing"),
        (10703, "a failed read at a start hides records, which healing has to bring back"),
        (13788, "a bad sector costs three small records, which healing has to bring back"),
        (18543, "as 10703"),
        (201632, "copies were counted again whose drop had failed to sync, and were gone at the next start"),
        (300705, "a copy that had been looked at was counted after it had been dropped, and that confirmed"),
        (300710, "as 300705"),
        (310296, "as 300705"),
        (310331, "as 300705"),
        (310217, "a copy was lost between its reading and the dropping of another: the oracle's mistake"),
        (300550, "a copy was lost on a node that was not sure of what it had: the oracle did not wait for it"),
        (58, "a move that was cancelled dropped copies when it was taken up again to read a pack"),
        (84, "as 58"),
        (193, "a node that was not sure of what it had did not drop: the oracle waited for it"),
        (1157, "copies were dropped between their acknowledgement and the answer to the client: the oracle's mistake"),
        (310477, "a removed node was ordered to be removed again: the oracle took that for news"),
    ]
}
