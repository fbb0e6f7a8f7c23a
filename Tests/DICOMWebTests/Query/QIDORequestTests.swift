// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Testing

private let dictionary = AttributeDictionary { keyword in
    ["PatientComments": 0x0010_4000, "TimezoneOffsetFromUTC": 0x0008_0201, "RequestAttributesSequence": 0x0040_0275][
        keyword
    ]
}

private func request(_ query: String, _ level: QIDOLevel = .instance) throws -> QIDORequest {
    try QIDORequest(level: level, query: QueryParameters(query: query), dictionary: dictionary)
}

@Suite("Search requests")
struct QIDORequestTests {
    @Test(
        "Keys become typed matches",
        arguments: [
            ("PatientID=4711", [QIDOMatch(.patientID, .single("4711"))]),
            ("00100020=4711", [QIDOMatch(.patientID, .single("4711"))]),
            ("0020000d=1.2", [QIDOMatch(.studyInstanceUID, .single("1.2"))]),
            ("PatientID=%20a%20b%20", [QIDOMatch(.patientID, .single("a b"))]),
            ("PatientName=DOE%2A", [QIDOMatch(.patientName, .wildcard("DOE*"))]),
            ("PatientName=D?E", [QIDOMatch(.patientName, .wildcard("D?E"))]),
            ("PatientName=50%25_%5C", [QIDOMatch(.patientName, .single("50%_\\"))]),
            ("PatientName=*", []),
            ("PatientName=**", []),
            ("PatientName=", []),
            ("PatientName", []),
            ("StudyInstanceUID=1.2,1.3", [QIDOMatch(.studyInstanceUID, .anyOf(["1.2", "1.3"]))]),
            ("StudyInstanceUID=1.2%5C1.3", [QIDOMatch(.studyInstanceUID, .anyOf(["1.2", "1.3"]))]),
            (
                "StudyInstanceUID=1.2&StudyInstanceUID=1.3,1.2&0020000D=9",
                [QIDOMatch(.studyInstanceUID, .anyOf(["1.2", "1.3", "9"]))]
            ),
            ("StudyInstanceUID=*", []),
            ("ModalitiesInStudy=CT,MR", [QIDOMatch(.modalitiesInStudy, .anyOf(["CT", "MR"]))]),
            ("Modality=C*", [QIDOMatch(.modality, .wildcard("C*"))]),
            ("StudyDate=20240229", [QIDOMatch(.studyDate, .single("20240229"))]),
            ("StudyDate=20240101-20241231", [QIDOMatch(.studyDate, .range(lower: "20240101", upper: "20241231"))]),
            ("StudyDate=20240101-", [QIDOMatch(.studyDate, .range(lower: "20240101", upper: nil))]),
            ("StudyDate=-20240101", [QIDOMatch(.studyDate, .range(lower: nil, upper: "20240101"))]),
            ("StudyTime=0930-10", [QIDOMatch(.studyTime, .range(lower: "0930", upper: "10"))]),
            ("StudyTime=10-1059", [QIDOMatch(.studyTime, .range(lower: "10", upper: "1059"))]),
            ("StudyTime=101112.5", [QIDOMatch(.studyTime, .single("101112.5"))]),
            ("SeriesNumber=007", [QIDOMatch(.seriesNumber, .single("7"))]),
            ("InstanceNumber=-3", [QIDOMatch(.instanceNumber, .single("-3"))]),
            ("PatientID=a&PatientID=a", [QIDOMatch(.patientID, .single("a"))]),
            ("TimezoneOffsetFromUTC=%2B0100", []),
            ("PatientComments=", []),
            ("RequestAttributesSequence.00400009=", []),
            (
                "SOPClassUID=1&PatientSex=F",
                [QIDOMatch(.sopClassUID, .single("1")), QIDOMatch(.patientSex, .single("F"))]
            ),
        ]
    )
    func matches(query: String, expected: [QIDOMatch]) throws {
        #expect(try request(query).matches == expected)
    }

    @Test(
        "What can't be understood is refused with the reason",
        arguments: [
            ("PatientNam=x", "PatientNam"), ("patientid=x", "neither"), ("0010002=x", "neither"),
            ("PatientComments=x", "can't be searched"), ("00091001=x", "can't be searched"),
            ("RequestAttributesSequence.00400009=7", "can't be searched"),
            ("NumberOfStudyRelatedInstances=3", "not searched"), ("PatientID=a&PatientID=b", "more than once"),
            ("StudyDate=2024-01-01", "YYYYMMDD"), ("StudyDate=20241301", "YYYYMMDD"), ("StudyDate=-", "YYYYMMDD"),
            ("StudyDate=20241231-20240101", "ends before"), ("StudyTime=25", "HHMMSS"), ("StudyTime=1", "HHMMSS"),
            ("StudyTime=1000.5", "HHMMSS"), ("StudyInstanceUID=abc", "UIDs"), ("StudyInstanceUID=1.2*", "UIDs"),
            ("Modality=CT,M*", "single value"), ("InstanceNumber=many", "integer"), ("Rows=512", "not searched"),
            ("limit=-1", "whole number"),
            ("limit=", "whole number"), ("limit=%2B5", "whole number"), ("offset=99999999999", "whole number"),
            ("fuzzymatching=yes", "true or false"), ("includefield=Nope", "not an attribute"),
            ("<script>=1", "'?script?'"),
        ]
    )
    func refusals(query: String, reason: String) throws {
        let error = #expect(throws: DICOMWebError.self) { try request(query) }
        #expect(error?.status == 400)
        #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
    }

    @Test("A value never comes back in a message")
    func noValuesInMessages() {
        for query in [
            "StudyDate=Mueller", "SeriesNumber=Mueller", "PatientComments=Mueller", "PatientID=Mueller&PatientID=b",
        ] {
            let error = #expect(throws: DICOMWebError.self) { try request(query) }
            #expect(error?.message.contains("Mueller") == false)
        }
    }

    @Test("A key of a lower level is refused where it would be ignored")
    func levels() throws {
        #expect(throws: DICOMWebError.self) { try request("Modality=CT", .study) }
        #expect(throws: DICOMWebError.self) { try request("SOPInstanceUID=1", .series) }
        #expect(try request("Modality=", .study).matches.isEmpty)
        #expect(try request("Modality=CT&PatientID=1", .series).matches.count == 2)
    }

    @Test("Paging, fuzzy matching and the accept parameter")
    func parameters() throws {
        let parsed = try request("limit=10&offset=20&fuzzymatching=true&accept=application/json&fuzzymatching=true")
        #expect(parsed.limit == 10)
        #expect(parsed.offset == 20)
        #expect(parsed.isFuzzy)
        #expect(parsed.acceptParameter == "application/json")
        let plain = try request("fuzzymatching=false")
        #expect(plain.limit == nil)
        #expect(plain.offset == 0)
        #expect(!plain.isFuzzy)
        #expect(try !request("limit=1").isFuzzy)
    }

    @Test("A response holds the level's attributes, the keys, and what was asked for")
    func returned() throws {
        let studies = try request("", .study).returned
        #expect(studies.contains(.patientID) && studies.contains(.modalitiesInStudy) && studies.contains(.retrieveURL))
        #expect(!studies.contains(.issuerOfPatientID) && !studies.contains(.modality))
        #expect(studies == studies.sorted())
        #expect(try request("includefield=IssuerOfPatientID", .study).returned.contains(.issuerOfPatientID))
        #expect(try request("includefield=00100021,%20PatientComments", .study).returned.contains(.issuerOfPatientID))
        #expect(try request("IssuerOfPatientID=", .study).returned.contains(.issuerOfPatientID))
        #expect(try request("includefield=all", .study).returned.allSatisfy { $0.level == .study })
        #expect(try request("includefield=all", .instance).returned.count == QIDOAttribute.allCases.count)

        let resource = try DICOMWebResource(path: "studies/1.2/series")
        let series = try QIDORequest(resource: resource, query: QueryParameters(query: nil), dictionary: dictionary)
        #expect(series.study == "1.2" && series.level == .series)
        #expect(series.returned.contains(.studyInstanceUID) && series.returned.contains(.modality))
        #expect(!series.returned.contains(.patientID))
        #expect(try request("", .series).returned.contains(.patientID))
    }

    @Test("Every attribute is defined, once")
    func attributes() {
        for attribute in QIDOAttribute.allCases {
            #expect(!attribute.keyword.isEmpty && attribute.vr != "UN")
            #expect(QIDOAttribute(keyword: attribute.keyword) == attribute)
        }
    }

    @Test("Any query gives a request or a refusal")
    func mutations() throws {
        var random = SeededGenerator.fromEnvironment()
        let seeds = [
            "StudyDate=20240101-20241231&PatientName=DOE%2A&limit=5", "StudyInstanceUID=1.2,1.3%5C1.4&includefield=all",
            "00100020=1&offset=3&fuzzymatching=true&StudyTime=0930-1030.5&Modality=CT",
        ]
        for round in 0..<5000 {
            let bytes = random.mutate(Array(seeds[round % seeds.count].utf8))
            _ = try? request(String(decoding: bytes, as: UTF8.self), .instance)
            _ = try? DICOMWebResource(path: String(decoding: bytes, as: UTF8.self))
        }
    }
}
