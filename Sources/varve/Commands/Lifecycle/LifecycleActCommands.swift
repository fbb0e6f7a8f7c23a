// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve lifecycle enable`.
struct LifecycleEnableCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enable",
        abstract: "Let the rules that hold act: order moves into packs, and let studies expire.",
        discussion: """
            Until then they are only planned, and each version that is loaded has to be enabled anew. Studies that expire are \
            marked first, and go to the trash --expire-after-seconds later. No more may expire in a day than is said here.

            Example: varve lifecycle enable --reason "reviewed by the board"
            """
    )

    @OptionGroup var server: ServerOptions
    @Option(help: "Why; kept with the order.") var reason: String
    @Option(help: "Percent of all studies that may expire in a day without a word.") var maximumExpire = 1.0
    @Option(help: "The number of studies that expire by the rules today, as the plan says it.")
    var confirmExpire: Int64?
    @Option(help: "How long a study is marked before it goes to the trash.") var expireAfterSeconds: Int64 = 604_800

    func validate() throws {
        guard reason.contains(where: { !$0.isWhitespace }) else { throw ValidationError("--reason must say why") }
        guard 0...100 ~= maximumExpire else { throw ValidationError("--maximum-expire must be from 0 to 100 percent") }
        guard 0...315_360_000 ~= expireAfterSeconds else {
            throw ValidationError("--expire-after-seconds must be from 0 to 315360000, ten years")
        }
    }

    func run() async throws {
        try await send(
            LifecycleActRequest(
                action: .enable,
                reason: reason,
                maximumExpiringPercent: maximumExpire,
                confirmExpire: confirmExpire,
                expireAfterSeconds: expireAfterSeconds
            ),
            to: server
        )
    }
}

/// `varve lifecycle pause`.
struct LifecyclePauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Stop at once all that rules do, until 'resume'; studies are still judged.",
        discussion: "Moves that were ordered go on. Example: varve lifecycle pause --reason \"a mistake in the rules\""
    )

    @OptionGroup var server: ServerOptions
    @Option(help: "Why.") var reason: String

    func run() async throws { try await send(LifecycleActRequest(action: .pause, reason: reason), to: server) }
}

/// `varve lifecycle resume`.
struct LifecycleResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Let rules act again that were paused.",
        discussion: "Example: varve lifecycle resume --reason \"looked at all that is pending\""
    )

    @OptionGroup var server: ServerOptions
    @Option(help: "Why.") var reason: String

    func run() async throws { try await send(LifecycleActRequest(action: .resume, reason: reason), to: server) }
}

/// `varve lifecycle run`.
struct LifecycleRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Judge the studies that are due now, instead of with the next round.",
        discussion: "Example: varve lifecycle run"
    )

    @OptionGroup var server: ServerOptions

    func run() async throws { try await send(LifecycleActRequest(action: .run), to: server) }
}

private func send(_ request: LifecycleActRequest, to server: ServerOptions) async throws {
    let body = try await AdminClient(server).send(
        "POST",
        "/api/v1/lifecycle/acts",
        body: JSONEncoder().encode(request)
    )
    if server.json { return FileHandle.standardOutput.write(body) }
    output(try JSONDecoder().decode(LifecycleStatusReport.self, from: body).text)
}
