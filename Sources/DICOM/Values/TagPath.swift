// SPDX-License-Identifier: Apache-2.0

/// Where an element is: the items it is in, from the outside in, and its tag.
public struct TagPath: Hashable, Sendable {
    public struct Step: Hashable, Sendable {
        public var tag: Tag
        /// Number of the item, from 0.
        public var item: Int

        public init(tag: Tag, item: Int) {
            self.tag = tag
            self.item = item
        }
    }

    public var steps: [Step]
    public var tag: Tag

    public init(steps: [Step] = [], tag: Tag) {
        self.steps = steps
        self.tag = tag
    }

    /// The path as segments of a URL: `00081140/0/00081150`.
    public var urlPath: String {
        self.steps.map { "\($0.tag.hexadecimal)/\($0.item)/" }.joined() + self.tag.hexadecimal
    }
}

extension TagPath: CustomStringConvertible {
    public var description: String {
        self.steps.map { "\($0.tag)[\($0.item)]." }.joined() + self.tag.description
    }
}
