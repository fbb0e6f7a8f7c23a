// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import DICOMWeb

/// Where instances are looked up and searched: the catalog in production, a list in tests.
package protocol InstanceDirectory: Sendable {
    /// The instances of a study, a series or one of its own, ordered by series and instance number; empty when there
    /// is nothing of that name.
    func instances(of item: DICOMWebItem) async throws(RetrieveFailure) -> [StoredInstance]

    /// At most `limit` results of a search, which is more than 0: after a cursor, or from its offset on.
    func search(
        _ request: QIDORequest,
        after cursor: CatalogCursor?,
        limit: Int
    ) async throws(RetrieveFailure) -> SearchPage
}

/// A part of the results of a search.
package struct SearchPage: Sendable {
    package var results: [SearchResult]
    /// Where the next page begins; nil when there are no more results.
    package var next: CatalogCursor?

    package init(results: [SearchResult], next: CatalogCursor?) {
        self.results = results
        self.next = next
    }
}

/// One result of a search: its attributes, and the UIDs that make its URL.
package struct SearchResult: Sendable, Hashable {
    package var study: String
    package var series: String?
    package var instance: String?
    /// What is known; an attribute that isn't here has no value.
    package var attributes: [QIDOAttribute: DICOMJSONValue]

    package init(
        study: String,
        series: String? = nil,
        instance: String? = nil,
        attributes: [QIDOAttribute: DICOMJSONValue]
    ) {
        self.study = study
        self.series = series
        self.instance = instance
        self.attributes = attributes
    }
}
