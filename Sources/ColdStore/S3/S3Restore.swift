// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension S3Request {
    /// Has an object of an archive class (GLACIER, DEEP_ARCHIVE) be there for some days (RestoreObject).
    static func restore(_ key: ObjectKey, days: Int) -> S3Request {
        S3Request(
            method: "POST",
            key: key,
            query: [(name: "restore", value: "")],
            body: ByteBuffer(
                string: "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Days>\(days)</Days>"
                    + "<GlacierJobParameters><Tier>Standard</Tier></GlacierJobParameters></RestoreRequest>"
            )
        )
    }
}

extension S3Client {
    /// Asks for an object that could not be read to be restored, unless that is under way; `.offline` says how it is.
    ///
    /// Each request is paid for: HEAD says whether one has been made (`x-amz-restore: ongoing-request="true"`).
    func restore(_ key: ObjectKey, days: Int) async throws(ColdStoreError) -> ColdStoreError {
        let name = "\(location.name)\(key)"
        let underWay = ColdStoreError(.offline, "\(name) is being restored from its archive class")
        let said = try await send(.head(key)).fields["x-amz-restore"] ?? ""
        guard !said.contains("ongoing-request=\"true\"") else { return underWay }
        do throws(ColdStoreError) {
            _ = try await send(.restore(key, days: days))
        } catch {
            // Somebody else was quicker.
            guard error.code == .exists else { throw error }
            return underWay
        }
        return ColdStoreError(.offline, "\(name) is in an archive class, and was asked to be restored for \(days) days")
    }
}
