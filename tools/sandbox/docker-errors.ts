import { messageOf, SparkError } from "../../state/errors.js";

/** HTTP status of a dockerode error, 0 when the engine did not answer at all. */
export const statusOf = (error: unknown): number => {
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  return typeof status === "number" ? status : 0;
};

const socketCodes = new Set(["ECONNREFUSED", "ENOENT", "EACCES", "EPERM", "ENOTFOUND", "ETIMEDOUT", "EHOSTUNREACH"]);

/** Whether this answer means that the container is gone or has stopped, and not that something inside is missing. */
export const meansLost = (error: unknown): boolean => {
  const status = statusOf(error);
  const text = messageOf(error);
  if (status === 404) return /no such container: /i.test(text) || /no such exec instance/i.test(text);
  if (status === 409) return /is not running|is restarting|marked for removal|is dead|has been stopped/i.test(text);
  return status === 500 && /is not running|container .* not found|cannot exec in a (stopped|deleted)/i.test(text);
};

/**
 * Turns what dockerode throws into a SparkError: `sandbox-lost` when the container is gone, `docker-unavailable` when no
 * engine answers, else `sandbox-failed`. A SparkError passes unchanged.
 * @param doing what was tried, with its place, as the beginning of a sentence
 */
export const asSparkError = (error: unknown, doing: string): SparkError => {
  if (SparkError.isInstance(error)) return error;
  if (meansLost(error)) {
    return new SparkError(`${doing}: the container is gone (${messageOf(error).trim()}). Start the attempt anew.`, {
      code: "sandbox-lost",
      cause: error,
    });
  }
  if (statusOf(error) === 404 && /no such image/i.test(messageOf(error))) {
    return new SparkError(`${doing}: ${messageOf(error).trim()}. It was removed meanwhile; start anew.`, {
      code: "image-missing",
      cause: error,
    });
  }
  const code = (error as { code?: unknown } | null)?.code;
  if (statusOf(error) === 0 && typeof code === "string" && socketCodes.has(code)) {
    return new SparkError(`${doing}: the Docker engine does not answer (${messageOf(error)}). Start it, or see \`spark-skills doctor\`.`, {
      code: "docker-unavailable",
      cause: error,
    });
  }
  return new SparkError(`${doing}: ${messageOf(error).trim()}`, { code: "sandbox-failed", cause: error });
};

/** Awaits `work`; whatever it throws becomes a SparkError by {@link asSparkError}. */
export const translated = async <T>(doing: string, work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    throw asSparkError(error, doing);
  }
};
