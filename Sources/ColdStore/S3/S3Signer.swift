// SPDX-License-Identifier: Apache-2.0

package import Checksums
import Crypto
import NIOCore

/// Signs requests as S3 wants it (AWS Signature Version 4, in the Authorization header).
///
/// Source: the pages "Authenticating Requests" of the Amazon S3 API reference, whose examples are in the tests.
package struct S3Signer: Sendable {
    package let credentials: S3Credentials
    package let region: String

    package init(credentials: S3Credentials, region: String) {
        self.credentials = credentials
        self.region = region
    }

    /// The fields to add to a request; those of `request` and the host are signed, too.
    ///
    /// `seconds` is the time since 1970; `payloadDigest` is of the body, empty or not.
    package func fields(
        for request: S3Request,
        host: String,
        path: String,
        payloadDigest: Checksums.SHA256Digest,
        seconds: Int64
    ) -> [(name: String, value: String)] {
        let time = S3Time(seconds: seconds)
        var added = [
            (name: "x-amz-content-sha256", value: payloadDigest.description),
            (name: "x-amz-date", value: time.text),
        ]
        if let token = credentials.sessionToken { added.append((name: "x-amz-security-token", value: token)) }
        let signed = (request.fields + added + [(name: "host", value: host)])
            .map { (name: $0.name.lowercased(), value: $0.value) }
            .sorted { $0.name < $1.name }
        let names = signed.map(\.name).joined(separator: ";")
        let canonical = [
            request.method, path, Self.query(request.query),
            signed.map { "\($0.name):\($0.value)\n" }.joined(), names, payloadDigest.description,
        ].joined(separator: "\n")
        let scope = "\(time.day)/\(region)/s3/aws4_request"
        let digest = SHA256Hasher.digest(of: ByteBuffer(string: canonical))
        let text = "AWS4-HMAC-SHA256\n\(time.text)\n\(scope)\n\(digest)"
        var key = SymmetricKey(data: Array("AWS4\(credentials.secretAccessKey)".utf8))
        for part in [time.day, region, "s3", "aws4_request"] {
            key = SymmetricKey(data: HMAC<SHA256>.authenticationCode(for: Array(part.utf8), using: key))
        }
        let signature = HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key)
        let credential = "\(credentials.accessKeyID)/\(scope)"
        added.append(
            (
                name: "Authorization",
                value: "AWS4-HMAC-SHA256 Credential=\(credential),SignedHeaders=\(names),Signature="
                    + (Checksums.SHA256Digest(Array(signature))?.description ?? "")
            )
        )
        return added
    }

    /// A query in the form that is signed, and sent: sorted, each parameter with an equals sign.
    package static func query(_ parameters: [(name: String, value: String)]) -> String {
        parameters.map { "\(escaped($0.name))=\(escaped($0.value))" }.sorted().joined(separator: "&")
    }

    /// With everything but letters, digits, `-`, `.`, `_` and `~` as `%XX`.
    package static func escaped(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// A point in time as signatures have it.
package struct S3Time: Hashable, Sendable {
    /// `20130524`.
    package let day: String
    /// `20130524T000000Z`.
    package let text: String
    /// `2013-05-24T00:00:00Z`.
    package let extendedText: String

    /// `seconds` since 1970, of this era.
    package init(seconds: Int64) {
        // Days to year, month and day by shifted months: March is the first, so that the leap day is the last of all.
        let days = seconds.quotientDown(86_400)
        let shifted = days + 719_468
        let era = shifted.quotientDown(146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let second = seconds - days * 86_400
        self.day =
            Self.text(year, 4) + Self.text(month, 2) + Self.text(dayOfYear - (153 * shiftedMonth + 2) / 5 + 1, 2)
        self.text =
            "\(day)T\(Self.text(second / 3600, 2))\(Self.text(second / 60 % 60, 2))\(Self.text(second % 60, 2))Z"
        let (date, time) = (Array(day), Array(text.dropFirst(9)))
        self.extendedText =
            "\(String(date[..<4]))-\(String(date[4..<6]))-\(String(date[6...]))"
            + "T\(String(time[..<2])):\(String(time[2..<4])):\(String(time[4...]))"
    }

    private static func text(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

extension Int64 {
    /// The quotient, rounded towards the past.
    fileprivate func quotientDown(_ divisor: Int64) -> Int64 {
        self >= 0 ? self / divisor : -((-self + divisor - 1) / divisor)
    }
}
