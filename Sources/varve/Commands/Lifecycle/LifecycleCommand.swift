// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `varve lifecycle ...`: the rules by which an archive ages.
struct LifecycleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lifecycle",
        abstract: "Write, plan, load and explain the rules by which an archive ages: tiers, policies, retention.",
        discussion: """
            Rules act once they are enabled; until then this says what they would do. See docs/lifecycle.md and the \
            examples in deploy/lifecycle.

            Example: varve lifecycle plan deploy/lifecycle/radiology.yaml
            """,
        subcommands: [
            LifecycleCheckCommand.self, LifecyclePlanCommand.self, LifecycleLoadCommand.self,
            LifecycleShowCommand.self, LifecycleExplainCommand.self, LifecycleStatusCommand.self,
            LifecyclePendingCommand.self, LifecycleEnableCommand.self, LifecyclePauseCommand.self,
            LifecycleResumeCommand.self, LifecycleRunCommand.self,
        ]
    )
}
