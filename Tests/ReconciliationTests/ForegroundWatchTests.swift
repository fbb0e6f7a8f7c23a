// SPDX-License-Identifier: Apache-2.0

import Reconciliation
import Testing

@Suite struct ForegroundWatchTests {
    private func see(_ count: UInt64?, by watch: inout ForegroundWatch, at now: Duration, isIdle: Bool) {
        let said = watch.note(count, at: now)
        #expect(said == isIdle, "\(now)")
    }

    @Test func `a node is idle when it was asked for next to nothing for five seconds`() {
        var watch = ForegroundWatch()
        see(7, by: &watch, at: .seconds(100), isIdle: false)
        see(7, by: &watch, at: .seconds(104), isIdle: false)
        see(7, by: &watch, at: .seconds(105), isIdle: true)
        see(12, by: &watch, at: .seconds(106), isIdle: true)
        see(13, by: &watch, at: .seconds(107), isIdle: false)
        see(13, by: &watch, at: .seconds(110), isIdle: false)
        see(13, by: &watch, at: .seconds(111), isIdle: true)
    }

    @Test func `a steady load is one, however often the node tells`() {
        var watch = ForegroundWatch()
        for second in 0..<60 {
            see(UInt64(2 * second), by: &watch, at: .seconds(second), isIdle: false)
        }
        var other = ForegroundWatch()
        for second in stride(from: 0, to: 600, by: 30) {
            see(UInt64(2 * second), by: &other, at: .seconds(second), isIdle: false)
        }
    }

    @Test func `a node that was started again is watched anew`() {
        var watch = ForegroundWatch()
        see(7, by: &watch, at: .zero, isIdle: false)
        see(7, by: &watch, at: .seconds(9), isIdle: true)
        see(0, by: &watch, at: .seconds(10), isIdle: false)
        see(0, by: &watch, at: .seconds(15), isIdle: true)
    }

    @Test func `of a node that does not tell nothing is known`() {
        var watch = ForegroundWatch()
        see(nil, by: &watch, at: .zero, isIdle: false)
        see(nil, by: &watch, at: .seconds(60), isIdle: false)
        see(3, by: &watch, at: .seconds(61), isIdle: false)
        see(nil, by: &watch, at: .seconds(70), isIdle: false)
        see(3, by: &watch, at: .seconds(71), isIdle: false)
    }
}
