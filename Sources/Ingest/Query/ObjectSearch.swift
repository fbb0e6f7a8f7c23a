// SPDX-License-Identifier: Apache-2.0

import Catalog
import DICOM
import DICOMWeb
import DIMSE

/// Matches of a C-FIND whose keys the catalog does not hold: reads instances of what the catalog has narrowed down.
///
/// A study is judged by the first instance of each series, a series and an instance by one instance.
package struct ObjectSearch: Sendable {
    /// The most instances that one query reads.
    package static let maximumObjectCount = 1_000

    private let source: any FindSource
    private let directory: any InstanceDirectory
    private let headers: HeaderReader

    package init(source: any FindSource, directory: any InstanceDirectory, records: any RecordReader) {
        self.source = source
        self.directory = directory
        self.headers = HeaderReader(records: records)
    }

    /// What has to be read to judge a match of the catalog's.
    package struct Candidate: Sendable {
        var result: FindResult
        let instances: [StoredInstance]
    }

    /// All that the catalog finds, with the instances to read.
    ///
    /// Throws A700H where these are more than `maximumObjectCount`: nothing has been read then, and nothing sent.
    package func candidates(_ query: FindQuery) async throws(QueryRefusal) -> [Candidate] {
        var candidates: [Candidate] = []
        var count = 0
        var next: CatalogCursor?
        repeat {
            var isOver = false
            do throws(RetrieveFailure) {
                let page = try await source.matches(query, after: next, limit: FindService.pageCount)
                for result in page.matches {
                    // One more than can be read is enough to know.
                    isOver = count >= Self.maximumObjectCount
                    if isOver { break }
                    let instances = try await instances(of: result, level: query.level)
                    count += instances.count
                    candidates.append(Candidate(result: result, instances: instances))
                }
                next = page.next
            } catch {
                throw QueryRefusal(error)
            }
            guard !isOver, count <= Self.maximumObjectCount else {
                throw QueryRefusal(
                    .outOfResources,
                    "over \(Self.maximumObjectCount) objects to read; give more catalogued keys"
                )
            }
        } while next != nil
        return candidates
    }

    /// The candidate's result with what its instance says of the keys; nil when it does not match.
    ///
    /// An instance that cannot be read does not match.
    package func match(_ candidate: Candidate, _ query: FindQuery) async throws(QueryRefusal) -> FindResult? {
        for instance in candidate.instances {
            do throws(RetrieveFailure) {
                let dataSet = try await headers.dataSet(of: instance)
                guard query.objectKeys.allSatisfy({ $0.matches(dataSet) }) else { continue }
                var result = candidate.result
                result.object = dataSet
                return result
            } catch {
                // Saying that there is no such study because a node is away would be wrong.
                if error.kind == .unavailable || error.kind == .overloaded { throw QueryRefusal(error) }
            }
        }
        return nil
    }

    private func instances(
        of result: FindResult,
        level: QueryRetrieveLevel
    ) async throws(RetrieveFailure) -> [StoredInstance] {
        guard let study = result.text(.studyInstanceUID) else { return [] }
        guard level > .study, let series = result.text(.seriesInstanceUID) else {
            var seen: Set<String> = []
            return try await directory.instances(of: .study(study)).filter {
                seen.insert($0.seriesInstanceUID).inserted
            }
        }
        guard level == .image, let instance = result.text(.sopInstanceUID) else {
            return Array(try await directory.instances(of: .series(study: study, series: series)).prefix(1))
        }
        return try await directory.instances(of: .instance(study: study, series: series, instance: instance))
    }
}

extension DataSet {
    /// Sets an element of another data set, in this one's encoding and as UTF-8; values that are no text or integers stay away.
    ///
    /// Of a sequence's items only what the `shape`'s item has, where it has one.
    mutating func set(_ element: DataElement, of other: DataSet, shape: DataElement?) {
        let vr = element.vr == .un ? DataDictionary.vr(for: element.tag).vr : element.vr
        if case .items(let items) = element.value {
            var wanted: DataSet?
            if case .items(let shapes)? = shape?.value { wanted = shapes.first?.dataSet }
            let copies = items.map { item in
                var copy = DataSet(encoding: encoding)
                for inner in item.dataSet.elements where wanted == nil || wanted?[inner.tag] != nil {
                    copy.set(inner, of: item.dataSet, shape: wanted?[inner.tag])
                }
                return SequenceItem(copy)
            }
            set(DataElement(tag: element.tag, vr: .sq, value: .items(copies)))
        } else if vr.isText {
            set(element.tag, vr, other.strings(of: element).joined(separator: "\\"))
        } else if [.us, .ss, .ul, .sl].contains(vr) {
            set(element.tag, vr, integers: other.integers(of: element))
        }
    }
}
