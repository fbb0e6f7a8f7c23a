// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

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
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")

func cLibrary(_ name: String, pkgConfig: String? = nil, apt: String) -> Target {
    .systemLibrary(name: name, path: "Sources/\(name)", pkgConfig: pkgConfig, providers: [.apt([apt])])
}

/// Pure values and state machines: no sockets, files, clocks, locks, tasks, Foundation.
func pureTarget(
    _ name: String,
    _ dependencies: [Target.Dependency],
    settings: [SwiftSetting] = [.strictMemorySafety()]
) -> [Target] {
    [
        .target(name: name, dependencies: dependencies, swiftSettings: strict + settings),
        .testTarget(name: "\(name)Tests", dependencies: [.byName(name: name)] + dependencies, swiftSettings: strict),
    ]
}

let package = Package(
    name: "varve",
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    ],
    targets: [
        cLibrary("CISAL", pkgConfig: "libisal", apt: "libisal-dev")
    ]
        + pureTarget("Checksums", ["CISAL", nioCore, crypto], settings: [])
        + pureTarget("Placement", ["Checksums", nioCore])
)
