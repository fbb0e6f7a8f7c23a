// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Testing

@Suite("Parameters of rendering")
struct RenderedRequestTests {
    private func request(_ query: String, isThumbnail: Bool = false) throws -> RenderedRequest {
        try RenderedRequest(query: QueryParameters(query: query), isThumbnail: isThumbnail)
    }

    @Test("Windows, in the spellings that clients have")
    func windows() throws {
        let linear = RenderedRequest.Window(center: 40, width: 400, function: .linear)
        #expect(try request("window=40,400,linear").window == linear)
        #expect(try request("window=40%2C400%2CLINEAR").window == linear)
        for name in ["linear-exact", "LINEAR_EXACT", "linear_exact"] {
            #expect(
                try request("window=-1.5,0.5,\(name)").window == .init(center: -1.5, width: 0.5, function: .linearExact)
            )
        }
        #expect(try request("window=1e3,20,sigmoid").window?.function == .sigmoid)
        #expect(try request("").window == nil)
        #expect(try request("window=40,400,linear", isThumbnail: true).window == nil)
    }

    @Test("Viewports with and without a region")
    func viewports() throws {
        #expect(try request("viewport=512,256").viewport == .init(width: 512, height: 256))
        let region = RenderedRequest.Viewport(width: 512, height: 256, x: 1, y: 2, regionWidth: -3, regionHeight: 4)
        #expect(try request("viewport=512,256,1,2,-3,4").viewport == region)
        #expect(try request("viewport=512,256,,,,4").viewport == .init(width: 512, height: 256, regionHeight: 4))
        #expect(try request("").viewport == nil)
        #expect(try request("", isThumbnail: true).viewport == .init(width: 128, height: 128))
        #expect(try request("viewport=64,32", isThumbnail: true).viewport == .init(width: 64, height: 32))
    }

    @Test("Quality, and what is not served but allowed")
    func others() throws {
        #expect(try request("quality=35").quality == 35)
        #expect(try request("").quality == RenderedRequest.defaultQuality)
        #expect(try request("annotation=patient,technique&iccprofile=srgb").ignored == ["annotation", "iccprofile"])
        #expect(try request("iccprofile=no&unknown=1").ignored == [])
    }

    @Test(
        "What is malformed is 400",
        arguments: [
            "window=40,400", "window=40,400,cubic", "window=a,400,linear", "window=40,0.5,linear",
            "window=40,0,sigmoid",
            "window=nan,1,linear", "window=40,inf,linear", "window=40,400,linear&window=1,2,linear", "window=",
            "viewport=512", "viewport=0,512", "viewport=-5,5", "viewport=512,4097", "viewport=5,5,1,1",
            "viewport=5,5,a,,,",
            "viewport=1.5,2", "viewport=,", "quality=0", "quality=101", "quality=high",
            "annotation=patient&annotation=x",
        ]
    )
    func malformed(query: String) {
        #expect { try request(query) } throws: { ($0 as? DICOMWebError)?.status == 400 }
    }

    @Test("A thumbnail has no region")
    func thumbnailRegion() {
        #expect(throws: DICOMWebError.self) { try request("viewport=64,64,0,0,10,10", isThumbnail: true) }
    }
}
