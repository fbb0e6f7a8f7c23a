// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DICOM
import Foundation
import Lifecycle
import LifecycleFiles

/// A file of rules that was read and found right.
struct RuleSetArgument {
    let text: String
    let ruleSet: RuleSet

    /// Says on standard error all that is wrong with the file, a line each, and ends with status 1 then.
    init(_ path: String) throws {
        let name = TerminalText.escaped(path)
        do throws(RuleSetError) {
            ruleSet = try RuleFile.read(path: path)
        } catch {
            for problem in error.problems { complain("\(name):\(problem.location == nil ? " " : "")\(problem)") }
            if error.omittedCount > 0 { complain("\(name): and \(error.omittedCount) more") }
            throw ExitCode(1)
        }
        text = try String(contentsOfFile: path, encoding: .utf8)
    }
}
