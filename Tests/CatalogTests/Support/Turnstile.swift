// SPDX-License-Identifier: Apache-2.0

/// Lets so many in at once, and the others in the order in which they came.
actor Turnstile {
    private var freePlaces: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(places: Int) { freePlaces = places }

    func enter() async {
        guard freePlaces == 0 else {
            freePlaces -= 1
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    func leave() {
        if waiting.isEmpty {
            freePlaces += 1
        } else {
            // The place goes over to who has waited longest.
            waiting.removeFirst().resume()
        }
    }
}
