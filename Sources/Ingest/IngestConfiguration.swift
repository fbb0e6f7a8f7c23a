// SPDX-License-Identifier: Apache-2.0

public import ColdStore
import DICOMWeb
public import Placement
public import ReplicationTransport

/// How instances are compressed when they arrive (design section 7: codec classes).
///
/// All are lossless and proven frame by frame; what no codec of the class can carry stays as received.
public enum CodecClass: String, Sendable, CaseIterable {
    /// HTJ2K: half the work of JPEG-LS, and a little larger.
    case fast
    /// JPEG-LS.
    case balanced
    /// JPEG-LS or JPEG 2000, whichever is smaller for the series.
    case dense
    /// Nothing is re-coded.
    case asReceived = "as-received"
}

/// What DELETE of a study, series or instance does over DICOMweb.
public enum HTTPDeletePolicy: String, Sendable, CaseIterable {
    /// It is refused.
    case off
    /// It moves to the trash, from which `varve study undelete` takes back.
    case trash
}

/// Everything an ingest node is told; what it is not told has the default given here.
public struct IngestConfiguration: Sendable {
    /// The name operators see, unique in the cluster.
    public var name: String
    /// The cluster it works for.
    public var cluster: ClusterID
    /// Connection string of the catalog (libpq's form; several hosts are allowed).
    public var catalog: String
    /// The directory for data sets too large for memory; emptied at every start.
    public var spoolDirectory: String
    /// The directory with the sockets of the storage nodes on this host; `nil` when there are none.
    public var socketDirectory: String?
    public var dicomHost = "0.0.0.0"
    public var dicomPort = 11112
    public var aeTitle = "VARVE"
    /// Application entities that C-MOVE may send to, and that are called with reports of storage commitment.
    public var destinations: [MoveDestination] = []
    /// Associations at once with a destination, for each C-MOVE; a destination that takes fewer gets all over those.
    public var moveAssociations = 2
    /// The stores of packs that are read when copies on storage nodes fail; none: no packs are read.
    public var coldStores: [ColdPlace] = []
    public var httpHost = "127.0.0.1"
    public var httpPort = 8042
    /// Origins whose pages a browser may let read over DICOMweb, `*` for all; empty: none but the service's own.
    public var corsOrigins: [String] = []
    /// What DELETE does over DICOMweb.
    public var httpDelete = HTTPDeletePolicy.off
    /// Calling AE titles whose rejection notes (IHE IOCM) are acted on; empty: nobody's, until somebody approves one.
    public var rejectionSenders: [String] = []
    /// Whether rejection notes that came over HTTP are acted on, too.
    public var rejectionsOverHTTP = false
    /// Whether what is rejected for its quality stays in use.
    public var keepsRejectedForQuality = false
    /// Copies an instance should have, and durable copies that make a success.
    public var copies = 2
    public var acknowledgements = 2
    /// The time within which those must come; coordinators let losses settle for longer.
    public var acknowledgementSpreadSeconds = 300
    /// How long a request for storage commitment waits for copies that are not good yet, before it is reported as failed.
    public var commitmentPatienceSeconds = 600
    /// What is fetched again after it was accepted, to see whether it comes back as it came.
    public var watch = WatchConfiguration()
    public var codec = CodecClass.balanced
    /// What is done with instances that break rules of the standard but can be read and filed.
    public var validation = ValidationPolicy.accept
    /// Where instances go that the policy wants in quarantine; without it, into `quarantine` beside the spool.
    public var quarantineDirectory: String?
    /// Where instances are noted that the catalog could not be told of, and the last placement map; without it, in
    /// `journal` beside the spool.
    ///
    /// On a disk that survives the process: until the catalog is back, it is owed what is in it.
    public var journalDirectory: String?
    /// Where the metadata of whole series are kept, which are made again when lost; without it, in `metadata` beside the
    /// spool.
    public var metadataDirectory: String?
    /// How many bytes of them are kept; 0: none are.
    public var metadataByteCount = 1 << 30
    /// Threads that encode and prove; 0 means one for each core.
    public var codecThreads = 0
    /// Largest data set that is received into memory; larger ones go through the spool.
    public var maximumInMemoryDataSetByteCount = 16 << 20
    /// Associations at once; further ones are refused as a transient limit.
    public var maximumAssociations = 100
    /// Connections to the catalog.
    public var catalogConnections = 4

    /// Hours in which all records of the storage nodes are compared with the catalog once; 0: never.
    public var catalogSweepHours = 24
    /// The node's certificate, and whom it trusts; `nil` for plain TCP to the storage nodes.
    public var tls: ReplicationTLS?

    /// What is wrong with an origin to be put into ``corsOrigins``, or nil.
    public static func problem(withOrigin origin: String) -> String? { CrossOriginPolicy.problem(with: origin) }

    public init(name: String, cluster: ClusterID, catalog: String, spoolDirectory: String) {
        self.name = name
        self.cluster = cluster
        self.catalog = catalog
        self.spoolDirectory = spoolDirectory
    }
}
