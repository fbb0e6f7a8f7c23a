// SPDX-License-Identifier: Apache-2.0

extension QIDORequest {
    /// The query parameter that carries a cursor.
    public static let cursorName = "cursor"

    /// The URL of the page that begins at a cursor: the same search, without its offset.
    ///
    /// `query` is what the request was read from: every other parameter stays as it was.
    public func nextURL(cursor: String, query: QueryParameters, root: ServiceRoot) -> String {
        var pairs: [String] = []
        for parameter in query.parameters where parameter.name != Self.cursorName && parameter.name != "offset" {
            pairs.append("\(PercentCoding.encode(parameter.name))=\(PercentCoding.encode(parameter.value))")
        }
        pairs.append("\(Self.cursorName)=\(PercentCoding.encode(cursor))")
        return root.url + path + "?" + pairs.joined(separator: "&")
    }

    /// Its resource, below the service's root (PS3.18 table 10.6.1-1).
    private var path: String {
        let collection =
            switch level {
            case .study: "/studies"
            case .series: "/series"
            case .instance: "/instances"
            }
        return (study.map { "/studies/\($0)" } ?? "") + (series.map { "/series/\($0)" } ?? "") + collection
    }

    /// What decides which results there are and in what order, as text: equal for all pages of one search.
    ///
    /// What is returned of each result, and how many, may differ from page to page.
    public var identity: String {
        var parts = ["\(level)", study ?? "", series ?? "", isFuzzy ? "fuzzy" : ""]
        for match in matches {
            parts.append(match.attribute.keyword)
            switch match.condition {
            case .single(let value): parts += ["single", value]
            case .wildcard(let pattern): parts += ["wildcard", pattern]
            case .anyOf(let values): parts += ["anyOf"] + values.sorted() + [""]
            case .range(let lower, let upper): parts += ["range", lower ?? "", upper ?? ""]
            }
        }
        // With its length before each, so that no two searches are the same text.
        return parts.map { "\($0.utf8.count):\($0)" }.joined()
    }
}
