// SPDX-License-Identifier: Apache-2.0

import Catalog
import DICOMWeb
import Placement

/// Instance Availability (0008,0056): what is in cold packs only takes longer to come.
enum InstanceAvailability {
    static let online = "ONLINE"
    static let nearline = "NEARLINE"
}

/// What of a page is in cold packs only; the least available instance decides for series and study.
///
/// A page is answered also when this can't be found out (in a catalog that was not brought up to date yet): as what it mostly is.
extension CatalogDirectory {
    func coldStudies(_ rows: [StudyRow]) async -> Set<String> {
        await coldStudies(among: rows.map(\.studyInstanceUID))
    }

    func coldSeries(_ rows: [SeriesRow]) async -> Set<String> {
        let studies = await coldStudies(among: rows.map(\.studyInstanceUID))
        let series = rows.filter { studies.contains($0.studyInstanceUID) }.map(\.seriesInstanceUID)
        do throws(CatalogError) {
            return try await catalog.seriesInPacksOnly(among: series)
        } catch {
            return []
        }
    }

    func coldInstances(_ rows: [InstanceQueryRow]) async -> Set<RecordID> {
        let studies = await coldStudies(among: rows.map(\.study.studyInstanceUID))
        let records = rows.filter { studies.contains($0.study.studyInstanceUID) }.map(\.recordID)
        do throws(CatalogError) {
            return try await catalog.instancesInPacksOnly(among: records)
        } catch {
            return []
        }
    }

    private func coldStudies(among studies: [String]) async -> Set<String> {
        do throws(CatalogError) {
            return try await catalog.studiesInPacksOnly(among: studies)
        } catch {
            return []
        }
    }
}

extension SearchResult {
    /// The result, with how soon it can be had.
    func available(_ isCold: Bool) -> SearchResult {
        var result = self
        let value = isCold ? InstanceAvailability.nearline : InstanceAvailability.online
        result.attributes[.instanceAvailability] = .strings([value])
        return result
    }
}
