// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Testing

@Suite("The description of the service")
struct CapabilitiesTests {
    @Test("It names the base URL, every resource and their media types")
    func wadl() {
        let text = CapabilitiesDescription.wadl(base: "http://pacs/dicom-web?a&\"b\"")
        #expect(text.contains("<resources base=\"http://pacs/dicom-web?a&amp;&quot;b&quot;\">"))
        for part in [
            "<method name=\"GET\" id=\"SearchForStudies\">", "<method name=\"POST\" id=\"StoreInstances\">",
            "<resource path=\"{SOPInstanceUID}\">", "<method name=\"GET\" id=\"RetrieveFrames\">",
            "<param name=\"PatientID\" style=\"query\"/>", "mediaType=\"application/dicom+json\"",
            "mediaType=\"multipart/related; type=&quot;application/dicom&quot;\"",
        ] {
            #expect(text.contains(part), "\(part)")
        }
        for element in ["resource", "method", "request", "response", "resources", "application"] {
            let begun = text.split(separator: "<\(element) ").count + text.split(separator: "<\(element)>").count - 2
            #expect(begun > 0 && begun == text.split(separator: "</\(element)>").count - 1, "\(element)")
        }
    }

    @Test("It is negotiated like any other representation")
    func negotiation() throws {
        for accept in [[], ["*/*"], ["application/*"], ["application/vnd.sun.wadl+xml"]] {
            #expect(try !Negotiation.accepted(headers: accept, offers: [.capabilities]).isEmpty)
        }
        #expect(throws: DICOMWebError.self) {
            try Negotiation.accepted(headers: ["application/json"], offers: [.capabilities])
        }
    }
}
