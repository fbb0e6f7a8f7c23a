// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Testing

@Suite("Paths, queries and the service root")
struct ResourceTests {
    @Test(
        "A path names a resource",
        arguments: [
            ("studies", DICOMWebResource.collection(.study, study: nil, series: nil)),
            ("/studies/", .collection(.study, study: nil, series: nil)),
            ("series", .collection(.series, study: nil, series: nil)),
            ("instances", .collection(.instance, study: nil, series: nil)),
            ("studies/1.2/series", .collection(.series, study: "1.2", series: nil)),
            ("studies/1.2/instances", .collection(.instance, study: "1.2", series: nil)),
            ("studies/1.2/series/3/instances", .collection(.instance, study: "1.2", series: "3")),
            ("studies/1.2", .item(.study("1.2"), .whole)),
            ("studies/1%2E2", .item(.study("1.2"), .whole)),
            ("studies/1.2/metadata", .item(.study("1.2"), .metadata)),
            ("studies/1/series/2", .item(.series(study: "1", series: "2"), .whole)),
            ("studies/1/series/2/metadata", .item(.series(study: "1", series: "2"), .metadata)),
            ("studies/1/series/2/rendered", .item(.series(study: "1", series: "2"), .rendered)),
            ("studies/1/series/2/instances/3", .item(.instance(study: "1", series: "2", instance: "3"), .whole)),
            ("studies/1/thumbnail", .item(.study("1"), .thumbnail)),
            (
                "studies/1/series/2/instances/3/frames/1,7/rendered",
                .item(.instance(study: "1", series: "2", instance: "3"), .renderedFrames([1, 7]))
            ),
            (
                "studies/1/series/2/instances/3/frames/7/thumbnail",
                .item(.instance(study: "1", series: "2", instance: "3"), .frameThumbnail([7]))
            ),
            (
                "studies/1/series/2/instances/3/frames/1,7",
                .item(.instance(study: "1", series: "2", instance: "3"), .frames([1, 7]))
            ),
            (
                "studies/1/series/2/instances/3/bulkdata/00400275/1/00400007",
                .item(
                    .instance(study: "1", series: "2", instance: "3"),
                    .bulkData(["00400275", "1", "00400007"])
                )
            ),
        ]
    )
    func paths(path: String, resource: DICOMWebResource) throws {
        #expect(try DICOMWebResource(path: path) == resource)
    }

    @Test(
        "A path that names nothing is 404, one with a broken UID 400",
        arguments: [
            ("", 404), ("patients", 404), ("series/1", 404), ("instances/1", 404), ("studies/1/frames/1", 404),
            ("studies/1/instances/2", 404), ("studies/1/metadata/2", 404), ("studies/1/series/2/instances/3/4", 404),
            ("studies/1/series/2/frames/1", 404), ("a/b/c/d/e/f/g/h/i/j/k/l/m/n", 404),
            ("studies/abc", 400), ("studies/1.2%2F3", 400), ("studies/%zz", 400), ("studies/%0a", 400),
            ("studies/%ff", 400), ("studies/" + String(repeating: "1", count: 65), 400),
            ("studies/1/series/2/instances/3/frames/0", 400), ("studies/1/series/2/instances/3/frames/1,,2", 400),
            ("studies/1/series/2/instances/3/frames/+1", 400),
        ]
    )
    func unknownPaths(path: String, status: Int) {
        let error = #expect(throws: DICOMWebError.self) { try DICOMWebResource(path: path) }
        #expect(error?.status == status)
    }

    @Test("Parameters are decoded, in order, and repeated ones kept")
    func parameters() throws {
        let query = try QueryParameters(query: "PatientName=%2ADOE%5e+J&limit=5&&flag&a=b=c&limit=%37")
        #expect(
            query.parameters == [
                .init(name: "PatientName", value: "*DOE^ J"), .init(name: "limit", value: "5"),
                .init(name: "flag", value: ""), .init(name: "a", value: "b=c"), .init(name: "limit", value: "7"),
            ]
        )
        #expect(query.values("limit") == ["5", "7"])
        #expect(try QueryParameters(query: nil).parameters.isEmpty)
        #expect(try QueryParameters(query: "PatientName=%E5%B1%B1").values("PatientName") == ["山"])
    }

    @Test("A plus in the accept parameter is a plus, but for a space after a separator")
    func acceptParameter() throws {
        let query = try QueryParameters(query: "accept=application/dicom+json;+q=0.5,+application/dicom%2Bxml")
        #expect(query.values("accept") == ["application/dicom+json; q=0.5, application/dicom+xml"])
    }

    @Test("Limits on queries are errors")
    func queryLimits() {
        let many = Array(repeating: "a=b", count: QueryParameters.maximumCount + 1).joined(separator: "&")
        #expect(throws: DICOMWebError.self) { try QueryParameters(query: many) }
        let long = "a=" + String(repeating: "b", count: QueryParameters.maximumByteCount)
        #expect(throws: DICOMWebError.self) { try QueryParameters(query: long) }
        #expect(throws: DICOMWebError.self) { try QueryParameters(query: "a=%4") }
    }

    @Test("The service root follows the proxy's headers and refuses what is no host")
    func serviceRoot() {
        func root(_ headers: [String: String], authority: String? = "10.0.0.1:8042") -> String {
            ServiceRoot(path: "/dicom-web", authority: authority) { headers[$0] }.url
        }
        #expect(root([:]) == "http://10.0.0.1:8042/dicom-web")
        #expect(root([:], authority: nil) == "http://localhost/dicom-web")
        #expect(
            root(["x-forwarded-proto": "https, http", "x-forwarded-host": "pacs.example.org, inner"])
                == "https://pacs.example.org/dicom-web"
        )
        #expect(
            root(["x-forwarded-proto": "https", "x-forwarded-prefix": "/varve/"])
                == "https://10.0.0.1:8042/varve/dicom-web"
        )
        #expect(
            root(["forwarded": "for=1.2.3.4;proto=https; host=\"a.example:8443\", for=9"])
                == "https://a.example:8443/dicom-web"
        )
        #expect(root(["x-forwarded-host": "evil\"><script>"]) == "http://10.0.0.1:8042/dicom-web")
        #expect(root(["x-forwarded-proto": "javascript"]) == "http://10.0.0.1:8042/dicom-web")
        let configured = ServiceRoot(url: "https://x.org/dicom-web/")
        #expect(
            configured.url(study: "1", series: "2", instance: "3")
                == "https://x.org/dicom-web/studies/1/series/2/instances/3"
        )
    }
}
