// SPDX-License-Identifier: Apache-2.0

/// Caps that an encoded stream must keep before a codec library sees it.
public enum CodecLimits {
    /// Rows and columns: what JPEG-LS can say in SOF55 and DICOM in an US element.
    public static let maximumDimension = 65_535
    /// The native byte count of one frame; the largest radiographs are near 100 MB.
    public static let maximumFrameByteCount = 512 << 20
    /// JPEG 2000 tiles in a frame: OpenJPEG allocates about 7 KiB for each before it decodes anything.
    public static let maximumTileCount = 4_096
    /// JPEG 2000 precincts in a frame, all resolutions and components: OpenJPEG allocates for each.
    public static let maximumPrecinctCount = 1 << 20
    /// JPEG 2000 quality layers.
    public static let maximumLayerCount = 1_024
}
