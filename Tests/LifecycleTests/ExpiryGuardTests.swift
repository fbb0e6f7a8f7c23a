// SPDX-License-Identifier: Apache-2.0

import Lifecycle
import Testing

@Suite struct ExpiryGuardTests {
    struct Case: Sendable {
        var percentage = ExpiryGuard.defaultPercentage
        var confirmed: Int64?
        let expiring: Int64
        let studies: Int64
        let isAllowed: Bool
    }

    @Test(arguments: [
        Case(expiring: 0, studies: 0, isAllowed: true), Case(expiring: 0, studies: 50, isAllowed: true),
        // One of fifty is two percent.
        Case(expiring: 1, studies: 50, isAllowed: false), Case(expiring: 1, studies: 100, isAllowed: true),
        Case(expiring: 10_000, studies: 1_000_000, isAllowed: true),
        Case(expiring: 10_001, studies: 1_000_000, isAllowed: false),
        Case(percentage: 0, expiring: 0, studies: 10, isAllowed: true),
        Case(percentage: 0, expiring: 1, studies: 1_000_000, isAllowed: false),
        Case(percentage: 100, expiring: 10, studies: 10, isAllowed: true),
        Case(confirmed: 20, expiring: 20, studies: 50, isAllowed: true),
        Case(confirmed: 21, expiring: 20, studies: 50, isAllowed: false),
        Case(confirmed: 19, expiring: 20, studies: 50, isAllowed: false),
        // Who says a number has looked at another archive, however few they are.
        Case(confirmed: 2, expiring: 1, studies: 1_000, isAllowed: false),
        Case(confirmed: 0, expiring: 1, studies: 1_000, isAllowed: false),
    ])
    func `more than the share needs the exact number`(tested: Case) throws {
        let guardian = try #require(ExpiryGuard(percentage: tested.percentage, confirmed: tested.confirmed))
        #expect(guardian.allows(expiring: tested.expiring, of: tested.studies) == tested.isAllowed)
    }

    @Test(arguments: [-0.1, 100.1, .nan, .infinity])
    func `a share is of 0 to 100 percent`(percentage: Double) {
        #expect(ExpiryGuard(percentage: percentage) == nil)
    }
}
