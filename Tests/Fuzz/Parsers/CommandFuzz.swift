// SPDX-License-Identifier: Apache-2.0

import DIMSE
import FuzzHarness
import NIOCore

/// DIMSE command sets; what was decoded and is encoded again decodes to the same.
enum CommandFuzz {
    static let target = FuzzTarget("command", maximumByteCount: 1_024, seeds: seeds, run: run)

    static func run(_ input: ByteBuffer) {
        guard let command = try? CommandSet(decoding: input) else { return }
        var encoded = ByteBuffer()
        command.encode(into: &encoded)
        guard let again = try? CommandSet(decoding: encoded) else {
            FuzzTarget.fail("an encoded command set does not decode: \(encoded.hexadecimal)")
        }
        FuzzTarget.check(again == command, "a command set decodes to another: \(encoded.hexadecimal)")
        self.exercise(command)
    }

    /// What a service reads from a command set, and the answer it gives.
    static func exercise(_ command: CommandSet) {
        _ = command.commandField
        _ = command.hasDataSet
        _ = command.text(.moveOriginatorAETitle)
        var output = ByteBuffer()
        command.response(status: DIMSEStatus(rawValue: 0), errorComment: command.errorComment).encode(into: &output)
    }

    static var store: CommandSet {
        var command = CommandSet(.storeRequest)
        command[.messageID] = 7
        command[.priority] = 0
        command[.commandDataSetType] = 1
        command.setUID(.affectedSOPClassUID, "1.2.840.10008.5.1.4.1.1.2")
        command.setUID(.affectedSOPInstanceUID, "1.2.3.4")
        command.setText(.moveOriginatorAETitle, "FUZZ")
        command[.moveOriginatorMessageID] = 3
        return command
    }

    private static func seeds(_ files: [ByteBuffer]) -> [ByteBuffer] {
        let commands = [
            self.store, CommandSet.echoRequest(messageID: 1),
            self.store.response(status: DIMSEStatus(rawValue: 0xA700), errorComment: "no room"),
        ]
        return commands.map { command in
            var seed = ByteBuffer()
            command.encode(into: &seed)
            return seed
        }
    }
}
