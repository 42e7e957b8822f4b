import { it } from "vitest";
import { gateSubject } from "../../../../formats/skill/gate/subject.js";
import { codeFences } from "../../../../formats/skill/gate/code-fences.js";
import { errorText } from "../../../../formats/skill/gate/error-text.js";
import { links } from "../../../../formats/skill/gate/links.js";
import { secrets } from "../../../../formats/skill/gate/secrets.js";
import { size } from "../../../../formats/skill/gate/size.js";
import { specification } from "../../../../formats/skill/gate/specification.js";
import { truncated } from "../../../../formats/skill/gate/truncated.js";
import { numbersIn, visibleValues } from "../../../../formats/skill/gate/numbers.js";
import { quotedStrings } from "../../../../formats/skill/gate/quoted-strings.js";
it("p", async () => {
  const head = '---\nname: parse-logs\ndescription: "Parses logs."\n---\n\n# P\n\n';
  for (const [name, body] of Object.entries({ letters: "a".repeat(300_000), digits: "1".repeat(100_000), commas: "1,111".repeat(40_000), brackets: "[".repeat(50_000), links: "[a](".repeat(20_000), ticks: "`a``b```".repeat(10_000), spaces: " ".repeat(100_000)+"x", quotes: "\"'`\\".repeat(30_000), dots: "1.1".repeat(40_000), under: "1_1".repeat(40000), gt: ">".repeat(100000), gts: "> ".repeat(50000)+"x", hashes: "# ".repeat(50000), e: "e-1".repeat(30000), url: "https://a:b@".repeat(10000), words: "lorem ipsum dolor ".repeat(15000) })) {
    const subject = gateSubject({ directory: "parse-logs", text: head + body + "\n", files: {} });
    const out: string[] = [];
    for (const [n, r] of Object.entries({ codeFences, errorText, links, secrets, size, specification, truncated, numbers: (s: typeof subject) => numbersIn(s.texts[0]!.lines) as never, visible: (s: typeof subject) => [...visibleValues(s.texts[0]!.lines)] as never, quoted: (s: typeof subject) => quotedStrings(s.texts[0]!.lines) as never })) {
      const t = performance.now(); await r(subject); const d = performance.now() - t; if (d > 300) out.push(`${n} ${Math.round(d)}`);
    }
    console.log(name, out.join(", "));
  }
}, 500000);
