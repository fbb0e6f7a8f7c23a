// SPDX-License-Identifier: Apache-2.0

public import DIMSE
public import NIOCore

/// Settings of a `DICOMServer`.
///
/// Every limit of the server is here.
public struct DICOMServerConfiguration: Sendable {
    public var host: String
    /// 0 takes any free port; `DICOMServer.start()` returns it.
    public var port: Int
    public var aeTitle: AETitle
    /// Whether requests for another called AE title than ours are served too.
    ///
    /// Many modalities are configured with a wrong one.
    public var acceptsAnyCalledAETitle: Bool

    /// What we tell peers: bytes of a P-DATA-TF PDU after its 6-byte header.
    public var maximumPDULength: UInt32
    /// What we send at most, also where the peer has no limit.
    public var maximumSentPDULength: Int
    public var maximumAssociations: Int
    /// TCP connections beyond `maximumAssociations` that are kept long enough to be told why they are rejected.
    public var maximumSurplusConnections: Int
    public var acceptBacklog: Int32

    /// From the TCP connection to its A-ASSOCIATE-RQ, and from our last PDU to the peer's close (PS3.8 ARTIM).
    public var artimTimeout: TimeAmount
    /// How long an association may stay silent while nothing of it is being worked on.
    public var idleTimeout: TimeAmount

    /// The longest data set kept in memory, in bytes; longer ones go to a file in `spoolDirectory`.
    public var maximumInMemoryDataSetByteCount: Int
    /// The longest data set taken at all, in bytes; longer ones are answered with A700H.
    public var maximumDataSetByteCount: Int
    /// Where long data sets are spooled.
    ///
    /// The files have no name: nothing is left behind by a crash.
    public var spoolDirectory: String
    /// Bytes of one association handed to the spool thread and not yet written, before reading stops.
    public var maximumSpoolByteCountInFlight: Int
    public var spoolThreadCount: Int

    /// SOP classes accepted for C-STORE, by UID.
    public var storageSOPClasses: Set<String>
    /// Whether SOP classes that are not listed, but lie under the root of the standard's storage SOP classes
    /// (1.2.840.10008.5.1.4.1.1), are accepted too.
    public var acceptsUnlistedStorageSOPClasses: Bool
    /// Query/Retrieve SOP classes that are served, by UID, each with what extended negotiation may add.
    public var queryRetrieveSOPClasses: [String: QueryRetrieveOptions]
    /// SOP classes whose N-ACTION requests go to the service, by UID.
    public var actionSOPClasses: Set<String>
    /// The longest action information, in bytes; longer ones are answered with 0213H.
    ///
    /// 8 MiB are some 60,000 instances to be committed.
    public var maximumActionByteCount: Int
    /// How long a peer may take to answer an N-EVENT-REPORT over its own association.
    public var eventReportTimeout: TimeAmount
    /// The longest identifier of a query or retrieval, in bytes; longer ones are answered with A700H.
    ///
    /// 1 MiB are 16,000 UIDs.
    public var maximumIdentifierByteCount: Int
    /// Transfer syntaxes accepted for storage, the best first.
    public var transferSyntaxes: [String]

    public var implementationClassUID: String
    public var implementationVersionName: String

    public init(
        aeTitle: AETitle,
        host: String = "0.0.0.0",
        port: Int = 11112,
        spoolDirectory: String = "/tmp"
    ) {
        self.aeTitle = aeTitle
        self.host = host
        self.port = port
        self.spoolDirectory = spoolDirectory
        self.acceptsAnyCalledAETitle = true
        self.maximumPDULength = 128 * 1024
        self.maximumSentPDULength = 128 * 1024
        self.maximumAssociations = 100
        self.maximumSurplusConnections = 32
        self.acceptBacklog = 256
        self.artimTimeout = .seconds(30)
        self.idleTimeout = .minutes(10)
        self.maximumInMemoryDataSetByteCount = 32 << 20
        self.maximumDataSetByteCount = 1 << 36
        self.maximumSpoolByteCountInFlight = 4 << 20
        self.spoolThreadCount = 2
        self.storageSOPClasses = []
        self.acceptsUnlistedStorageSOPClasses = true
        self.queryRetrieveSOPClasses = [:]
        self.maximumIdentifierByteCount = 1 << 20
        self.actionSOPClasses = []
        self.maximumActionByteCount = 8 << 20
        self.eventReportTimeout = .seconds(30)
        self.transferSyntaxes = Self.defaultTransferSyntaxes
        self.implementationClassUID = VarveImplementation.classUID
        self.implementationVersionName = VarveImplementation.versionName
    }

    /// The root of the standard's storage SOP classes (PS3.4 table B.5-1).
    public static let storageSOPClassRoot = "1.2.840.10008.5.1.4.1.1."

    /// Whether the server takes C-STORE requests for a SOP class.
    public func acceptsStorage(ofSOPClass uid: String) -> Bool {
        self.storageSOPClasses.contains(uid)
            || self.acceptsUnlistedStorageSOPClasses && uid.hasPrefix(Self.storageSOPClassRoot)
    }
}

extension DICOMServerConfiguration {
    /// All of the standard's transfer syntaxes that carry images, in the order of preference within one
    /// presentation context: native explicit VR little endian, which comes back byte for byte and compresses;
    /// lossless compressed; implicit VR and the odd native ones; then what may be lossy, and video.
    ///
    /// The JPIP syntaxes are left out: their data sets name a server that has the pixels, which is nothing to
    /// promise to keep.
    public static let defaultTransferSyntaxes: [String] =
        [
            "1.2.840.10008.1.2.1",  // Explicit VR little endian
            "1.2.840.10008.1.2.4.80",  // JPEG-LS lossless
            "1.2.840.10008.1.2.4.90",  // JPEG 2000 lossless only
            "1.2.840.10008.1.2.5",  // RLE lossless
            "1.2.840.10008.1.2.4.201",  // HTJ2K lossless only
            "1.2.840.10008.1.2.4.202",  // HTJ2K lossless RPCL
            "1.2.840.10008.1.2.4.70",  // JPEG lossless, first-order prediction
            "1.2.840.10008.1.2.4.57",  // JPEG lossless, process 14
            "1.2.840.10008.1.2",  // Implicit VR little endian
            "1.2.840.10008.1.2.2",  // Explicit VR big endian
            "1.2.840.10008.1.2.1.99",  // Deflated explicit VR little endian
            "1.2.840.10008.1.2.1.98",  // Encapsulated uncompressed explicit VR little endian
            "1.2.840.10008.1.2.4.110",  // JPEG XL lossless
            "1.2.840.10008.1.2.8.1",  // Deflated image frame
            "1.2.840.10008.1.2.4.92",  // JPEG 2000 part 2 lossless only
            "1.2.840.10008.1.2.4.81",  // JPEG-LS near-lossless
            "1.2.840.10008.1.2.4.91",  // JPEG 2000
            "1.2.840.10008.1.2.4.203",  // HTJ2K
            "1.2.840.10008.1.2.4.93",  // JPEG 2000 part 2
            "1.2.840.10008.1.2.4.50",  // JPEG baseline
            "1.2.840.10008.1.2.4.51",  // JPEG extended
            "1.2.840.10008.1.2.4.111",  // JPEG XL JPEG recompression
            "1.2.840.10008.1.2.4.112",  // JPEG XL
            "1.2.840.10008.1.2.4.100",  // MPEG2 main profile, main level
            "1.2.840.10008.1.2.4.100.1",
            "1.2.840.10008.1.2.4.101",  // MPEG2 main profile, high level
            "1.2.840.10008.1.2.4.101.1",
            "1.2.840.10008.1.2.4.102",  // MPEG-4 AVC/H.264 high profile, level 4.1
            "1.2.840.10008.1.2.4.102.1",
            "1.2.840.10008.1.2.4.103",  // MPEG-4 AVC/H.264 BD compatible
            "1.2.840.10008.1.2.4.103.1",
            "1.2.840.10008.1.2.4.104",  // MPEG-4 AVC/H.264 level 4.2, 2D
            "1.2.840.10008.1.2.4.104.1",
            "1.2.840.10008.1.2.4.105",  // MPEG-4 AVC/H.264 level 4.2, 3D
            "1.2.840.10008.1.2.4.105.1",
            "1.2.840.10008.1.2.4.106",  // MPEG-4 AVC/H.264 stereo
            "1.2.840.10008.1.2.4.106.1",
            "1.2.840.10008.1.2.4.107",  // HEVC/H.265 main profile
            "1.2.840.10008.1.2.4.108",  // HEVC/H.265 main 10 profile
        ] + Self.retiredJPEGTransferSyntaxes

    /// Retired JPEG processes, which old archives still hold.
    private static let retiredJPEGTransferSyntaxes = (52...66).filter { $0 != 57 }.map { "1.2.840.10008.1.2.4.\($0)" }
}

/// How Varve names itself to peers (PS3.7 section D.3.3.2).
public enum VarveImplementation {
    /// A UID of the UUID-derived form of PS3.5 annex B.2, the same as in Varve's file meta information.
    public static let classUID = "2.25.301452049339268168405964274361167652378"
    public static let versionName = "VARVE_0_1"
}
