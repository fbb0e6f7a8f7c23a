// SPDX-License-Identifier: Apache-2.0

extension Catalog {
    /// How to reach Postgres, and the limits of using it.
    public struct Configuration: Sendable {
        /// A libpq connection string, `key=value` pairs or a URI; several hosts may be named (then the one that takes
        /// writes is used).
        ///
        /// May hold a password: never log it.
        public var connectionString: String
        /// Connections for questions and administration.
        public var poolSize: Int
        /// Connections that commit instances.
        ///
        /// More than one helps only where a WAL flush takes longer than a batch.
        public var committerCount: Int
        /// The most instances of one round trip.
        public var maximumBatchCount: Int
        /// The most entries that wait for a round trip; more are refused.
        public var maximumQueuedEntryCount: Int
        /// The most questions that wait for a connection; more are refused.
        public var maximumQueuedQueryCount: Int
        /// How long an entry may take from call to answer, reconnecting included.
        public var commitTimeout: Duration
        /// How long a question or a change may take from call to answer.
        public var queryTimeout: Duration
        /// How long connecting to one host may take.
        public var connectTimeout: Duration
        /// How long one migration may take.
        public var migrationTimeout: Duration
        /// What Postgres shows as the client's name.
        public var applicationName: String

        public init(
            connectionString: String,
            poolSize: Int = 4,
            committerCount: Int = 1,
            maximumBatchCount: Int = 256,
            maximumQueuedEntryCount: Int = 8192,
            maximumQueuedQueryCount: Int = 1024,
            commitTimeout: Duration = .seconds(10),
            queryTimeout: Duration = .seconds(30),
            connectTimeout: Duration = .seconds(5),
            migrationTimeout: Duration = .seconds(3600),
            applicationName: String = "varve"
        ) {
            self.connectionString = connectionString
            self.poolSize = max(1, poolSize)
            self.committerCount = max(1, committerCount)
            self.maximumBatchCount = max(1, maximumBatchCount)
            self.maximumQueuedEntryCount = max(1, maximumQueuedEntryCount)
            self.maximumQueuedQueryCount = max(1, maximumQueuedQueryCount)
            self.commitTimeout = commitTimeout
            self.queryTimeout = queryTimeout
            self.connectTimeout = connectTimeout
            self.migrationTimeout = migrationTimeout
            self.applicationName = applicationName
        }
    }
}
