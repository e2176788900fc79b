/**
 * Settles as `work` does, or after `ms` milliseconds as `late` does. The work goes on then, and its result is ignored.
 */
export async function within<T, L>(ms: number, work: Promise<T>, late: () => L): Promise<T | L> {
  const limit = Promise.withResolvers<L>();
  const timer = setTimeout(() => {
    try {
      limit.resolve(late());
    } catch (error) {
      limit.reject(error);
    }
  }, ms);
  try {
    return await Promise.race([work, limit.promise]);
  } finally {
    clearTimeout(timer);
  }
}
