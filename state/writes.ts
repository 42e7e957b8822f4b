/**
 * The update a node may return: any of the channels `K` of update `U`, and no other.
 * Writing a second node's channel is a compile error (design.md 4.1: one channel, one writer).
 */
export type Writes<U, K extends keyof U> = { [P in K]?: U[P] } & { [P in Exclude<keyof U, K>]?: never };
