// SPDX-License-Identifier: Apache-2.0

/// The parameters of a request for rendered images or thumbnails (PS3.18 §8.3.5), checked.
public struct RenderedRequest: Sendable, Hashable {
    public enum WindowFunction: String, Sendable, Hashable, CaseIterable {
        case linear, linearExact = "linear_exact", sigmoid
    }

    /// `window=center,width,function`.
    public struct Window: Sendable, Hashable {
        public let center: Double
        public let width: Double
        public let function: WindowFunction

        public init(center: Double, width: Double, function: WindowFunction) {
            self.center = center
            self.width = width
            self.function = function
        }
    }

    /// `viewport=vw,vh` or `viewport=vw,vh,sx,sy,sw,sh`; negative extents of the region mirror it.
    public struct Viewport: Sendable, Hashable {
        public let width: Int
        public let height: Int
        public let x: Int
        public let y: Int
        /// nil: up to the image's edge.
        public let regionWidth: Int?
        public let regionHeight: Int?

        public init(width: Int, height: Int, x: Int = 0, y: Int = 0, regionWidth: Int? = nil, regionHeight: Int? = nil)
        {
            self.width = width
            self.height = height
            self.x = x
            self.y = y
            self.regionWidth = regionWidth
            self.regionHeight = regionHeight
        }
    }

    /// Columns and rows of the largest viewport.
    public static let maximumViewport = 4096
    /// libjpeg's quality when none is asked for: no difference that an eye would see.
    public static let defaultQuality = 90
    /// Columns and rows into which a thumbnail is fitted when none are asked for.
    public static let defaultThumbnail = 128

    public let window: Window?
    public let viewport: Viewport?
    /// 1 to 100, for JPEG.
    public let quality: Int
    /// Parameters that are fine by the standard but not served: the client is warned.
    public let ignored: [String]

    /// Reads the query; `isThumbnail`: only a size may be given (PS3.18 §8.3.5.2), and there always is one.
    ///
    /// Throws 400 for what is malformed, and for a window without all of its three parts.
    public init(query: QueryParameters, isThumbnail: Bool = false) throws(DICOMWebError) {
        self.window = isThumbnail ? nil : try Self.single("window", query).map(Self.window)
        let standard = isThumbnail ? Viewport(width: Self.defaultThumbnail, height: Self.defaultThumbnail) : nil
        self.viewport =
            try Self.single("viewport", query).map { text throws(DICOMWebError) in
                try Self.viewport(text, isThumbnail: isThumbnail)
            } ?? standard
        self.quality = try Self.single("quality", query).map(Self.quality) ?? Self.defaultQuality
        self.ignored = try Self.ignored(query)
    }

    private static func single(_ name: String, _ query: QueryParameters) throws(DICOMWebError) -> String? {
        let values = query.values(name)
        guard values.count <= 1 else { throw DICOMWebError(.badRequest, "\(name) is given more than once") }
        return values.first
    }

    private static func window(_ text: String) throws(DICOMWebError) -> Window {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmingBlanks() }
        guard parts.count == 3, let center = Double(parts[0]), let width = Double(parts[1]), center.isFinite,
            width.isFinite,
            let function = WindowFunction(
                rawValue: String(parts[2].lowercased().map { $0 == "-" ? "_" : $0 })
            )
        else {
            throw DICOMWebError(
                .badRequest,
                "window is center,width,function, the function being linear, linear-exact or sigmoid"
            )
        }
        guard function == .linear ? width >= 1 : width > 0 else {
            throw DICOMWebError(.badRequest, "the width of the window must be at least 1 (linear), or above 0")
        }
        return Window(center: center, width: width, function: function)
    }

    private static func viewport(_ text: String, isThumbnail: Bool) throws(DICOMWebError) -> Viewport {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmingBlanks() }
        guard parts.count == 2 || (parts.count == 6 && !isThumbnail) else { throw malformedViewport }
        let numbers = parts.map { Int($0) }
        for (part, number) in zip(parts, numbers) where number == nil && !part.isEmpty { throw malformedViewport }
        guard let width = numbers[0], let height = numbers[1], (1...maximumViewport).contains(width),
            (1...maximumViewport).contains(height)
        else {
            throw DICOMWebError(.badRequest, "the viewport's columns and rows must be 1 to \(maximumViewport)")
        }
        guard parts.count == 6 else { return Viewport(width: width, height: height) }
        return Viewport(
            width: width,
            height: height,
            x: numbers[2] ?? 0,
            y: numbers[3] ?? 0,
            regionWidth: numbers[4],
            regionHeight: numbers[5]
        )
    }

    private static let malformedViewport = DICOMWebError(
        .badRequest,
        "viewport is columns,rows or, for rendered images, columns,rows,x,y,width,height, all of them integers"
    )

    private static func quality(_ text: String) throws(DICOMWebError) -> Int {
        guard let quality = Int(text), (1...100).contains(quality) else {
            throw DICOMWebError(.badRequest, "quality is an integer from 1 to 100")
        }
        return quality
    }

    private static func ignored(_ query: QueryParameters) throws(DICOMWebError) -> [String] {
        var ignored: [String] = []
        if let text = try single("annotation", query), !text.isEmpty { ignored.append("annotation") }
        // PS3.18 §8.3.5.1.5: `no` is what is done.
        if let text = try single("iccprofile", query), text != "no" { ignored.append("iccprofile") }
        return ignored
    }
}
