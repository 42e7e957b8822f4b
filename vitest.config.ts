import { defineConfig } from "vitest/config";

// Containers, servers and child processes share two cores with whatever else runs there: CI tries such a test once more before it fails.
const retry = process.env["CI"] ? 1 : 0;

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 180_000,
    projects: [
      { extends: true, test: { name: "unit", include: ["test/unit/**/*.test.ts"] } },
      // Containers, child processes and servers share two cores: one file at a time.
      {
        extends: true,
        test: {
          name: "integration",
          include: ["test/contract/**/*.test.ts", "test/integration/**/*.int.test.ts"],
          fileParallelism: false,
          retry,
          testTimeout: 180_000,
        },
      },
      { extends: true, test: { name: "e2e", include: ["test/e2e/**/*.e2e.test.ts"], fileParallelism: false, retry, testTimeout: 300_000 } },
    ],
  },
});
