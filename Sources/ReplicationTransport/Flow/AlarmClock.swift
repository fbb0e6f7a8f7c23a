// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Many alarms of one event loop with one scheduled task of it: nearly all are withdrawn long before they are due, and then
/// cost no more than an entry in a table.
///
/// Event-loop state of whoever owns it.
package final class AlarmClock {
    /// An alarm, for withdrawing it.
    package struct Alarm: Hashable {
        fileprivate let number: UInt64
    }

    private let eventLoop: any EventLoop
    private var alarms: [UInt64: (due: NIODeadline, action: () -> Void)] = [:]
    private var nextNumber: UInt64 = 0
    private var armed: (due: NIODeadline, task: Scheduled<Void>)?

    package init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// The alarms that are set.
    package var count: Int { alarms.count }

    /// Calls `action` at `due` or soon after, once, unless it is withdrawn.
    package func set(at due: NIODeadline, _ action: @escaping () -> Void) -> Alarm {
        let number = nextNumber
        nextNumber += 1
        alarms[number] = (due, action)
        if armed.map({ due < $0.due }) ?? true { arm(at: due) }
        return Alarm(number: number)
    }

    package func withdraw(_ alarm: Alarm) {
        alarms[alarm.number] = nil
    }

    private func arm(at due: NIODeadline) {
        armed?.task.cancel()
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        armed = (due, eventLoop.scheduleTask(deadline: due) { bound.value.ring() })
    }

    private func ring() {
        armed = nil
        let now = eventLoop.now
        let due = alarms.filter { $0.value.due <= now }.sorted { ($0.value.due, $0.key) < ($1.value.due, $1.key) }
        for (number, alarm) in due where alarms.removeValue(forKey: number) != nil { alarm.action() }
        // An action may have set one, and armed the clock by it.
        guard let earliest = alarms.values.map(\.due).min() else { return }
        if armed.map({ earliest < $0.due }) ?? true { arm(at: earliest) }
    }
}
