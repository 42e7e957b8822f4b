import { defineConfig } from "vitest/config";

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
          testTimeout: 180_000,
        },
      },
      { extends: true, test: { name: "e2e", include: ["test/e2e/**/*.e2e.test.ts"], fileParallelism: false, testTimeout: 300_000 } },
    ],
  },
});
