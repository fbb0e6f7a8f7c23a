// SPDX-License-Identifier: Apache-2.0

/// Who we are to an object store; its description says nothing of it.
public struct S3Credentials: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    public let accessKeyID: String
    let secretAccessKey: String
    let sessionToken: String?

    public init(accessKeyID: String, secretAccessKey: String, sessionToken: String? = nil) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
    }

    /// From `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; `nil` without the first two.
    public init?(environment: [String: String]) {
        guard let id = environment["AWS_ACCESS_KEY_ID"], let secret = environment["AWS_SECRET_ACCESS_KEY"],
            !id.isEmpty, !secret.isEmpty
        else { return nil }
        let token = environment["AWS_SESSION_TOKEN"] ?? ""
        self.init(accessKeyID: id, secretAccessKey: secret, sessionToken: token.isEmpty ? nil : token)
    }

    /// From the text of a file in the format of the AWS tools: `[profile]`, then `name = value` lines; `nil` when the
    /// profile is not in it, or not whole.
    public init?(file text: String, profile: String = "default") {
        var isInside = false
        var values: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.trimmed
            if line.hasPrefix("#") || line.hasPrefix(";") { continue }
            if line.hasPrefix("["), line.hasSuffix("]") {
                isInside = line.dropFirst().dropLast().trimmed == profile
            } else if isInside, let equals = line.firstIndex(of: "=") {
                values[line[..<equals].trimmed.lowercased()] = String(line[line.index(after: equals)...].trimmed)
            }
        }
        guard let id = values["aws_access_key_id"], let secret = values["aws_secret_access_key"],
            !id.isEmpty, !secret.isEmpty
        else { return nil }
        self.init(accessKeyID: id, secretAccessKey: secret, sessionToken: values["aws_session_token"])
    }

    public var description: String { "S3Credentials" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

extension Substring {
    /// Without white space around it.
    fileprivate var trimmed: Substring {
        var text = self
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
