// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// The manifest reads as the layering of docs/architecture.md: C libraries, pure values, engines, roles, wiring.
// Tests/ArchitectureTests holds the same table and checks every import against it.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

// Products of other packages, by the name they are imported under.
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioLocks: Target.Dependency = .product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore: Target.Dependency = .product(name: "HummingbirdCore", package: "hummingbird")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let asyncHTTPClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

/// A C library of the system, found by pkg-config and installed by apt.
func cLibrary(_ name: String, pkgConfig: String, apt: String) -> [Target] {
    [.systemLibrary(name: name, path: "Sources/\(name)", pkgConfig: pkgConfig, providers: [.apt([apt])])]
}

/// C of our own: what Swift's Glibc overlay lacks, and libraries whose errors must not unwind through Swift.
func cShim(_ name: String, _ dependencies: [Target.Dependency] = []) -> [Target] {
    [.target(name: name, dependencies: dependencies)]
}

/// C of our own over a C++ library.
///
/// Debian's pkg-config file of OpenJPH names no library, so it is named here; not for one from
/// deploy/lib/build_openjph.sh, whose file is complete and which must not meet the other.
func cxxShim(_ name: String, over library: String, linking linkName: String) -> [Target] {
    let paths = (Context.environment["PKG_CONFIG_PATH"] ?? "").split(separator: ":")
    let isNamed = paths.contains { $0.hasSuffix("/\(linkName)") }
    return [
        .target(
            name: name,
            dependencies: [.byName(name: library)],
            linkerSettings: isNamed ? [] : [.linkedLibrary(linkName)]
        )
    ]
}

/// Pure values and state machines: no sockets, files, clocks, locks, tasks, Foundation.
func pureTarget(
    _ name: String,
    _ dependencies: [Target.Dependency],
    testing: [Target.Dependency] = [],
    settings: [SwiftSetting] = [.strictMemorySafety()],
    testData: [String] = []
) -> [Target] {
    [
        .target(name: name, dependencies: dependencies, swiftSettings: strict + settings),
        .testTarget(
            name: "\(name)Tests",
            dependencies: [.byName(name: name)] + dependencies + testing,
            exclude: testData,
            swiftSettings: strict
        ),
    ]
}

/// One kind of I/O each, over the pure targets; `testing` is what only their tests need.
func engineTarget(
    _ name: String,
    _ dependencies: [Target.Dependency],
    testing: [Target.Dependency] = []
) -> [Target] {
    [
        .target(name: name, dependencies: dependencies, swiftSettings: strict),
        .testTarget(
            name: "\(name)Tests",
            dependencies: [.byName(name: name)] + dependencies + testing,
            swiftSettings: strict
        ),
    ]
}

/// A service of its own; roles never import each other.
func roleTarget(
    _ name: String,
    _ dependencies: [Target.Dependency],
    testing: [Target.Dependency] = []
) -> [Target] {
    engineTarget(name, dependencies, testing: testing)
}

let cTargets: [Target] =
    cLibrary("CISAL", pkgConfig: "libisal", apt: "libisal-dev")
    + cLibrary("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev")
    + cLibrary("CLMDB", pkgConfig: "lmdb", apt: "liblmdb-dev")
    + cLibrary("CCharLS", pkgConfig: "charls", apt: "libcharls-dev")
    + cLibrary("COpenJPEG", pkgConfig: "libopenjp2", apt: "libopenjp2-7-dev")
    + cLibrary("CJPEGTurbo", pkgConfig: "libjpeg", apt: "libjpeg62-turbo-dev")
    + cLibrary("CPostgres", pkgConfig: "libpq", apt: "libpq-dev")
    + cLibrary("COpenJPHLibrary", pkgConfig: "openjph", apt: "libopenjph-dev")
    + cxxShim("COpenJPH", over: "COpenJPHLibrary", linking: "openjph")
    + cShim("CPlatform")
    + cShim("CSpawn")
    + cShim("CJPEGShim", ["CJPEGTurbo"])

let pureTargets: [Target] =
    pureTarget("Checksums", ["CISAL", nioCore, crypto], settings: [])
    + pureTarget("Placement", ["Checksums", nioCore])
    + pureTarget("Reconciliation", ["Placement"])
    + pureTarget("Lifecycle", [])
    + pureTarget("DICOM", ["CZlib", nioCore])
    + pureTarget("DIMSE", [nioCore])
    + pureTarget("DICOMWeb", ["DICOM", "CZlib", nioCore])
    + pureTarget("Rendering", ["DICOM", "CZlib", "CJPEGShim", nioCore], testing: ["PixelCodecs"])
    + pureTarget("SegmentFormat", ["Checksums", "Placement", nioCore])
    + pureTarget(
        "PackFormat",
        ["DICOM", "SegmentFormat", "Checksums", "Placement", nioCore],
        testData: ["Golden/study.zip"]
    )
    + pureTarget(
        "ReplicationProtocol",
        ["Checksums", "Placement", nioCore],
        testData: ["Golden/messages.txt", "Golden/broken.txt"]
    )

let engineTargets: [Target] =
    engineTarget("Telemetry", [logging, nioLocks])
    + engineTarget("PixelCodecs", ["CCharLS", "COpenJPEG", "COpenJPH", "CJPEGShim", nioCore, nioLocks])
    // Files past the page cache.
    + engineTarget("DirectIO", ["CPlatform", nioCore, nioLocks])
    + engineTarget(
        "SegmentStore",
        ["SegmentFormat", "Checksums", "Placement", "DirectIO", "CLMDB", "CPlatform", nioCore, nioLocks, logging],
        testing: ["SimulatedDisk"]
    )
    // For tests and simulations; no product contains it.
    + engineTarget("SimulatedDisk", ["SegmentStore", nioCore, nioLocks])
    + engineTarget("Healing", ["ReplicationProtocol", "Placement", logging], testing: [nioLocks])
    // A storage node's files, read by a process on the same host.
    + engineTarget(
        "LocalSegments",
        [
            "SegmentStore", "SegmentFormat", "ReplicationProtocol", "Placement", "CPlatform", nioCore, nioPosix,
            nioLocks, logging,
        ],
        testing: ["Checksums"]
    )
    + engineTarget("LifecycleFiles", ["Lifecycle", yams])
    + engineTarget("ClusterCertificates", [crypto, x509, asn1])
    + engineTarget(
        "ReplicationTransport",
        ["ReplicationProtocol", "Checksums", "Placement", nioCore, nioPosix, nioLocks, nioSSL, logging],
        testing: ["ClusterCertificates", nioEmbedded]
    )
    + engineTarget(
        "DICOMNetworking",
        ["DICOM", "DIMSE", "CPlatform", nioCore, nioPosix, nioLocks, logging]
    )
    + engineTarget(
        "Catalog",
        ["DICOM", "Lifecycle", "Checksums", "Placement", "CPostgres", nioCore, nioLocks, logging]
    )
    // Judges the studies of the catalog by a rule set.
    + engineTarget("LifecyclePlanning", ["Catalog", "ColdStore", "Lifecycle", "Placement"])
    + engineTarget(
        "Repair",
        ["Catalog", "Reconciliation", "ReplicationProtocol", "Placement", "Checksums", nioLocks, logging]
    )
    // Whole clusters on one thread, for tests and `varve-sim`.
    + engineTarget(
        "Simulation",
        [
            "SimulatedDisk", "Healing", "Repair", "Catalog", "Reconciliation", "SegmentStore", "SegmentFormat",
            "ColdStore", "PackFormat", "DICOM", "ReplicationProtocol", "Placement", "Checksums",
            nioCore, nioLocks, logging,
        ]
    )
    // Where packs lie: a directory, or a bucket of S3.
    + engineTarget(
        "ColdStore",
        [
            "PackFormat", "Checksums", "Placement", "DirectIO", "CPlatform", crypto, nioCore, nioPosix, nioLocks,
            nioHTTP1, asyncHTTPClient,
        ],
        testing: ["DICOM"]
    )
    + engineTarget("Supervisor", ["CSpawn", nioLocks, logging])
    + engineTarget(
        "ClusterClient",
        [
            "LocalSegments", "SegmentStore", "ReplicationTransport", "ReplicationProtocol", "Placement",
            nioCore, nioPosix, nioLocks, logging,
        ],
        testing: ["Checksums"]
    )

let roleTargets: [Target] =
    roleTarget(
        "StorageNode",
        [
            "SegmentStore", "LocalSegments", "SegmentFormat", "ReplicationTransport", "ReplicationProtocol",
            "ColdStore", "PackFormat", "DICOM", "Placement", "Checksums",
            nioCore, nioPosix, logging, lifecycle,
        ],
        testing: ["SimulatedDisk"]
    )
    + roleTarget(
        "Coordinator",
        [
            "Catalog", "Healing", "Repair", "Reconciliation", "ReplicationTransport", "ReplicationProtocol",
            "Placement", "Checksums", "Lifecycle", "LifecycleFiles", "LifecyclePlanning", "Telemetry",
            nioCore, nioPosix, nioLocks, logging, lifecycle,
        ]
    )
    + roleTarget(
        "Ingest",
        [
            "DICOM", "DIMSE", "DICOMWeb", "Rendering", "DICOMNetworking", "PixelCodecs", "SegmentFormat",
            "ReplicationProtocol", "ReplicationTransport", "Placement", "Checksums", "Catalog", "ClusterClient",
            "Repair", "Reconciliation", "ColdStore", "PackFormat", "Lifecycle", "LifecycleFiles",
            "LifecyclePlanning", "Telemetry",
            nioCore, nioPosix, nioLocks, nioHTTP1, logging, lifecycle, hummingbird, hummingbirdCore,
        ]
    )

let package = Package(
    name: "varve",
    products: [
        // Of use to others on their own.
        .library(name: "DICOM", targets: ["DICOM"]),
        .library(name: "PixelCodecs", targets: ["PixelCodecs"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: cTargets + pureTargets + engineTargets + roleTargets
        + [
            .executableTarget(
                name: "varve",
                dependencies: [
                    "Ingest", "StorageNode", "Coordinator", "Supervisor", "Catalog", "Checksums", "Telemetry",
                    "Placement", "Reconciliation", "Repair", "Lifecycle", "LifecycleFiles", "PackFormat", "ColdStore",
                    "DICOM", "DIMSE", "DICOMNetworking", "PixelCodecs", "ClusterCertificates", "ReplicationTransport",
                    "ReplicationProtocol", "CPlatform", nioCore, nioPosix, nioLocks, logging, lifecycle, signals,
                    argumentParser,
                    yams,
                ],
                swiftSettings: strict
            ),
            .executableTarget(
                name: "varve-sim",
                dependencies: ["Simulation"],
                swiftSettings: strict
            ),
            .executableTarget(
                name: "codec-benchmark",
                dependencies: ["DICOM", "Ingest", "PixelCodecs", nioCore, nioLocks],
                path: "Benchmarks/CodecBenchmark",
                swiftSettings: strict
            ),
            .executableTarget(
                name: "parse-benchmark",
                dependencies: ["DICOM", nioCore],
                path: "Benchmarks/ParseBenchmark",
                swiftSettings: strict
            ),
            .executableTarget(
                name: "lifecycle-benchmark",
                dependencies: [
                    "Lifecycle", "LifecycleFiles", "LifecyclePlanning", "Catalog", "Supervisor", "Placement",
                    "Checksums",
                    logging,
                ],
                path: "Benchmarks/LifecycleBenchmark",
                swiftSettings: strict
            ),
            .executableTarget(
                name: "storage-benchmark",
                dependencies: [
                    "SegmentStore", "SegmentFormat", "ReplicationTransport", "ReplicationProtocol", "Placement",
                    "Checksums",
                    nioCore, nioPosix, logging,
                ],
                path: "Benchmarks/StorageBenchmark",
                swiftSettings: strict
            ),
            .testTarget(name: "ArchitectureTests", swiftSettings: strict),
        ]
)

// The fuzz targets, only for Tests/Fuzz/run.sh: every Swift target is built with coverage counters for libFuzzer then,
// and what calls C libraries on pixels with the address sanitizer too.
if Context.environment["VARVE_FUZZ"] == "1" {
    let runtime: LinkerSetting = .unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])
    let addressRuntime: LinkerSetting = .unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])
    package.targets += [
        .systemLibrary(name: "CFuzzer", path: "Tests/Fuzz/CFuzzer"),
        .target(
            name: "FuzzHarness",
            dependencies: ["CFuzzer", nioCore],
            path: "Tests/Fuzz/Harness",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "fuzz-parsers",
            dependencies: [
                "FuzzHarness", "DICOM", "DIMSE", "DICOMWeb", "Rendering", "ReplicationProtocol", "SegmentFormat",
                "PackFormat", "Placement", "Checksums", "Lifecycle", "LifecycleFiles", nioCore,
            ],
            path: "Tests/Fuzz/Parsers",
            swiftSettings: strict,
            linkerSettings: [runtime]
        ),
        .executableTarget(
            name: "fuzz-codecs",
            dependencies: ["FuzzHarness", "PixelCodecs", nioCore],
            path: "Tests/Fuzz/Codecs",
            swiftSettings: strict,
            linkerSettings: [addressRuntime]
        ),
    ]
    for target in package.targets where target.type == .regular || target.type == .executable {
        let hasAddressSanitizer = target.name == "PixelCodecs" || target.name == "fuzz-codecs"
        let sanitizers = hasAddressSanitizer ? "-sanitize=fuzzer,address" : "-sanitize=fuzzer"
        guard target.name != "FuzzHarness", !target.name.hasPrefix("C") || target.name == "Catalog" else { continue }
        target.swiftSettings = (target.swiftSettings ?? []) + [.unsafeFlags([sanitizers])]
    }
}
