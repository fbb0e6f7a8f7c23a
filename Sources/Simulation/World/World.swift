// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import Repair
import SimulatedDisk

/// Time, chance, and what happened: everything that one run shares.
///
/// One thread. Times are microseconds since the run began.
final class World {
    let plan: Plan
    let clock = SimulatedClock()
    var random: SeededGenerator
    var trace: Trace
    private(set) var faultCounts: [FaultKind: Int] = [:]
    private(set) var faultList: [String] = []
    private(set) var violation: String?
    private var queue = EventQueue()
    /// Runs the tasks of the world.
    let executor = WorldExecutor()
    /// What they wait for.
    let calls = OpenCalls()
    private(set) var eventCount = 0
    /// Whether nothing goes wrong any more.
    var isCalm = false
    private var endings: [() -> Void] = []

    init(_ plan: Plan, traceLimit: Int) {
        self.plan = plan
        self.random = SeededGenerator(seed: plan.seed &* 0x9E37_79B9_7F4A_7C15 &+ 77)
        self.trace = Trace(limit: traceLimit)
        trace.mix(plan.seed)
    }

    var now: Int64 { clock.now }

    // MARK: Time

    func after(_ delay: Int64, _ action: @escaping () -> Void) {
        queue.add(at: now + max(0, delay), action)
    }

    /// Runs until `end`, until `isDone`, or until a violation; returns whether `isDone` became true.
    @discardableResult
    func run(until end: Int64, _ isDone: () -> Bool = { false }) -> Bool {
        while violation == nil {
            if isDone() { return true }
            guard let event = queue.next(upTo: end) else { break }
            if event.time > now { clock.now = event.time }
            eventCount += 1
            event.action()
            executor.drain()
        }
        if violation == nil, now < end { clock.now = end }
        return isDone()
    }

    /// Lets go of all that is still to happen.
    func end() {
        queue.removeAll()
        for ending in endings { ending() }
        endings = []
        calls.end()
        executor.drain()
    }

    /// Has `body` run when the run is over.
    func atEnd(_ body: @escaping () -> Void) { endings.append(body) }

    /// Has a task wait for so many microseconds, or until it is cancelled.
    func sleep(_ time: Int64) async { await calls.sleep(in: self, for: time) }

    /// The time of the world, for tasks that want a clock.
    var repairClock: RepairClock {
        let (clock, sleeper) = (clock, Sleeper(world: self))
        return RepairClock(
            now: { .microseconds(clock.now) },
            sleep: { await sleeper.sleep($0) }
        )
    }

    // Safety: used on the one thread of the world, where `WorldExecutor` runs the tasks that have it.
    private final class Sleeper: @unchecked Sendable {
        private let world: World

        init(world: World) { self.world = world }

        func sleep(_ time: Duration) async { await world.sleep(Int64(time / .microseconds(1))) }
    }

    // MARK: Chance

    func chance(_ percent: Double) -> Bool {
        percent > 0 && Double(random.next() >> 11) * (100.0 / 9_007_199_254_740_992.0) < percent
    }

    func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    func time(_ range: ClosedRange<Int64>) -> Int64 { Int64.random(in: range, using: &random) }

    func pick<Element>(_ elements: [Element]) -> Element? { elements.randomElement(using: &random) }

    // MARK: What happened

    func has(_ defect: Defect) -> Bool { plan.defect == defect }

    func note(_ text: @autoclosure () -> String) { trace.add(now, text()) }

    /// Notes a step that must be the same whenever the seed is.
    func mix(_ value: UInt64) {
        trace.mix(UInt64(bitPattern: now))
        trace.mix(value)
    }

    func count(_ fault: FaultKind, _ detail: @autoclosure () -> String) {
        faultCounts[fault, default: 0] += 1
        mix(UInt64(fault.number))
        guard trace.limit > 0 else { return }
        let text = "fault \(fault.rawValue): \(detail())"
        note(text)
        if faultList.count < 500 { faultList.append("\(now / 1000) ms  \(text)") }
    }

    func violate(_ text: String) {
        guard violation == nil else { return }
        violation = text
        note("VIOLATION \(text)")
    }
}

/// The simulated time, readable by what wants a clock that is `Sendable`.
final class SimulatedClock: Sendable {
    private let microseconds = NIOLockedValueBox<Int64>(0)

    var now: Int64 {
        get { microseconds.withLockedValue { $0 } }
        set { microseconds.withLockedValue { $0 = newValue } }
    }
}

/// A process of the cluster: it may be dead, or stopped for a while.
class Process {
    let world: World
    let name: String
    private(set) var generation = 0
    private(set) var isRunning = false
    private(set) var pausedUntil: Int64 = 0

    init(world: World, name: String) {
        self.world = world
        self.name = name
    }

    func started() {
        generation += 1
        isRunning = true
        pausedUntil = 0
    }

    func died() {
        generation += 1
        isRunning = false
    }

    var isPaused: Bool { isRunning && pausedUntil > world.now }

    func pause(for time: Int64) { pausedUntil = max(pausedUntil, world.now + time) }

    func resume() { pausedUntil = 0 }

    /// Runs `body` later in this life of the process, and not while it is stopped.
    func after(_ delay: Int64, _ body: @escaping () -> Void) {
        perform(generation, delay, body)
    }

    /// What someone outside is to call back: heard in this life only.
    func callback<Value>(_ body: @escaping (Value) -> Void) -> (Value) -> Void {
        let life = generation
        return { [self] value in perform(life, 0) { body(value) } }
    }

    private func perform(_ life: Int, _ delay: Int64, _ body: @escaping () -> Void) {
        world.after(delay) { [self] in
            guard isRunning, generation == life else { return }
            if pausedUntil > world.now {
                perform(life, pausedUntil - world.now, body)
            } else {
                body()
            }
        }
    }
}
