// SPDX-License-Identifier: Apache-2.0

/// The machine-readable description of the service (PS3.18 §8.9 and annex H): a WADL document.
public enum CapabilitiesDescription {
    /// The media type of WADL.
    public static let mediaType = "application/vnd.sun.wadl+xml"

    /// The document; `base` is the URL of the service, which `deletes` or not.
    public static func wadl(base: String, deletes: Bool = false) -> String {
        var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        text += "<application xmlns=\"http://wadl.dev.java.net/2009/02\">\n"
        text += "  <resources base=\"\(escaped(base))\">\n"
        for resource in tree { write(resource, deletes, indent: "    ", into: &text) }
        return text + "  </resources>\n</application>\n"
    }

    private struct Resource {
        let path: String
        var methods: [Method] = []
        var children: [Resource] = []
    }

    private struct Method {
        let name: String
        /// The transaction's name in PS3.18 table H-1.
        let id: String
        var request: [String] = []
        let response: [String]
        /// Names of query parameters.
        var parameters: [String] = []
    }

    private static func retrieve(_ id: String, _ offers: [Representation]) -> Method {
        Method(name: "GET", id: id, response: offers.map(\.text), parameters: ["accept"])
    }

    private static func rendered(_ id: String, _ path: String, _ offers: [Representation] = pictures) -> Resource {
        var method = retrieve(id, offers)
        method.parameters += path == "thumbnail" ? ["viewport", "quality"] : ["window", "viewport", "quality"]
        return Resource(path: path, methods: [method])
    }

    private static let pictures: [Representation] = [.jpeg, .png, .multipartJPEG, .multipartPNG]
    private static let manyPictures: [Representation] = [.multipartJPEG, .multipartPNG]

    private static func search(_ id: String, _ level: QIDOLevel) -> Method {
        Method(
            name: "GET",
            id: id,
            response: [Representation.dicomJSON.text],
            parameters: ["limit", "offset", "cursor", "fuzzymatching", "includefield", "accept"]
                + QIDOAttribute.allCases.filter { $0.isMatchable && $0.level <= level }.map(\.keyword)
        )
    }

    private static func store(_ id: String) -> Method {
        Method(
            name: "POST",
            id: id,
            request: [Representation.multipartDICOM.text],
            response: [Representation.dicomJSON.text]
        )
    }

    private static let tree: [Resource] = [
        Resource(
            path: "studies",
            methods: [search("SearchForStudies", .study), store("StoreInstances")],
            children: [
                Resource(
                    path: "{StudyInstanceUID}",
                    methods: [retrieve("RetrieveStudy", [.multipartDICOM, .zip]), store("StoreStudyInstances")],
                    children: [
                        Resource(path: "metadata", methods: [retrieve("RetrieveStudyMetadata", [.dicomJSON])]),
                        rendered("RetrieveRenderedStudy", "rendered", manyPictures),
                        rendered("RetrieveStudyThumbnail", "thumbnail"),
                        Resource(
                            path: "series",
                            methods: [search("SearchForStudySeries", .series)],
                            children: [series]
                        ),
                        Resource(path: "instances", methods: [search("SearchForStudyInstances", .instance)]),
                    ]
                )
            ]
        ),
        Resource(path: "series", methods: [search("SearchForSeries", .series)]),
        Resource(path: "instances", methods: [search("SearchForInstances", .instance)]),
    ]

    private static let series = Resource(
        path: "{SeriesInstanceUID}",
        methods: [retrieve("RetrieveSeries", [.multipartDICOM, .zip])],
        children: [
            Resource(path: "metadata", methods: [retrieve("RetrieveSeriesMetadata", [.dicomJSON])]),
            rendered("RetrieveRenderedSeries", "rendered", manyPictures),
            rendered("RetrieveSeriesThumbnail", "thumbnail"),
            Resource(
                path: "instances",
                methods: [search("SearchForStudySeriesInstances", .instance)],
                children: [instance]
            ),
        ]
    )

    /// What can be deleted, where anything can: no transactions of PS3.18.
    private static let deletions = [
        "{StudyInstanceUID}": "DeleteStudy", "{SeriesInstanceUID}": "DeleteSeries",
        "{SOPInstanceUID}": "DeleteInstance",
    ]

    private static let octets: [Representation] = [.multipartOctetStream, .singleOctetStream]

    private static let instance = Resource(
        path: "{SOPInstanceUID}",
        methods: [retrieve("RetrieveInstance", [.multipartDICOM, .singleDICOM, .zip])],
        children: [
            Resource(path: "metadata", methods: [retrieve("RetrieveInstanceMetadata", [.dicomJSON])]),
            rendered("RetrieveRenderedInstance", "rendered"),
            rendered("RetrieveInstanceThumbnail", "thumbnail"),
            Resource(
                path: "frames",
                children: [
                    Resource(
                        path: "{frames}",
                        methods: [retrieve("RetrieveFrames", octets)],
                        children: [
                            rendered("RetrieveRenderedFrames", "rendered"),
                            rendered("RetrieveFrameThumbnail", "thumbnail"),
                        ]
                    )
                ]
            ),
            Resource(
                path: "bulkdata",
                children: [Resource(path: "{path}", methods: [retrieve("RetrieveBulkdata", octets)])]
            ),
        ]
    )

    private static func write(_ resource: Resource, _ deletes: Bool, indent: String, into text: inout String) {
        text += "\(indent)<resource path=\"\(escaped(resource.path))\">\n"
        for method in resource.methods { write(method, indent: indent + "  ", into: &text) }
        if deletes, let id = deletions[resource.path] {
            write(Method(name: "DELETE", id: id, response: []), indent: indent + "  ", into: &text)
        }
        for child in resource.children { write(child, deletes, indent: indent + "  ", into: &text) }
        text += "\(indent)</resource>\n"
    }

    private static func write(_ method: Method, indent: String, into text: inout String) {
        text += "\(indent)<method name=\"\(method.name)\" id=\"\(method.id)\">\n"
        if !method.request.isEmpty || !method.parameters.isEmpty {
            text += "\(indent)  <request>\n"
            for name in method.parameters {
                text += "\(indent)    <param name=\"\(escaped(name))\" style=\"query\"/>\n"
            }
            write(method.request, indent: indent + "    ", into: &text)
            text += "\(indent)  </request>\n"
        }
        text += "\(indent)  <response>\n"
        write(method.response, indent: indent + "    ", into: &text)
        text += "\(indent)  </response>\n\(indent)</method>\n"
    }

    private static func write(_ mediaTypes: [String], indent: String, into text: inout String) {
        for mediaType in mediaTypes { text += "\(indent)<representation mediaType=\"\(escaped(mediaType))\"/>\n" }
    }

    private static func escaped(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { result, scalar in
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.unicodeScalars.append(scalar)
            }
        }
    }
}
