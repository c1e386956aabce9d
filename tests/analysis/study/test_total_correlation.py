"""Total correlation against strength: known trends, the axis that is turned, active latents, omissions."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from kerasvae.analysis.study.load import load
from kerasvae.analysis.study.tc_curves import active_latents
from kerasvae.analysis.study.total_correlation import total_correlation

RNG = np.random.default_rng(1)
FAST = {"replicates": 60}
METHODS = {"beta_vae": ("beta", (1, 4, 16)), "annealed_vae": ("c_max", (5, 25, 100))}


def runs(datasets=("dsprites", "cars3d"), methods=METHODS, seeds=5, mutual=False):
    """Sampled TC falls with the regularisation, mean TC rises, that of active latents falls; 4, 3, 2 are active."""
    lines = []
    for dataset in datasets:
        for method, (name, strengths) in methods.items():
            for place, strength in enumerate(strengths):
                rank = len(strengths) - 1 - place if name == "c_max" else place
                for seed in range(seeds):
                    line = {"dataset": dataset, "method": method, "strength": strength, "strength_name": name}
                    line |= {"seed": seed, "unsup.gaussian_tc": 0.1 * 2**rank + 0.01 * RNG.random()}
                    line["unsup.gaussian_tc@sampled"] = 0.01 * 0.5**rank + 1e-4 * RNG.random()
                    line["unsup.gaussian_tc_active"] = 1e-4 * 0.5**rank * (1 + 0.1 * RNG.random())
                    line |= {f"kl.z{z}": 2.0 if z < 4 - rank else 0.005 for z in range(4)}
                    if mutual:
                        line["unsup.mutual_info"], line["unsup.mutual_info@sampled"] = rank + RNG.random(), RNG.random()
                    lines.append(line)
    return lines


def kinds(frame, **equal):
    """Rows of the three curves: sampled, mean, active."""
    chosen = (("sampled", "all"), ("mean", "all"), ("mean", "active"))
    return [frame.row(representation=r, latents=latents, **equal) for r, latents in chosen]


def test_trends_follow_the_regularisation_and_a_capacity_is_turned():
    analysis = total_correlation(load(runs()), **FAST)
    for method in METHODS:
        rows = kinds(analysis["trends"], dataset="dsprites", method=method)
        # Three ranks of five runs each: ties keep it below 1.
        expected = spearmanr(np.repeat(range(3), 5), range(15)).statistic
        assert [row["sign"] for row in rows] == ["−", "+", "−"]
        for row, sign in zip(rows, (-1, 1, -1), strict=True):
            assert row["estimate"] * sign == pytest.approx(expected, abs=0.05) and row["n"] == 15
            assert row["turned"] == (method == "annealed_vae")
    notice = [notice for notice in analysis.notices if "turned" in notice]
    assert len(notice) == 1 and notice[0].startswith("AnnealedVAE")
    mean = analysis["over_datasets"].row(method="beta_vae", representation="mean", latents="all")
    assert mean["n"] == 2 and mean["signs"] == "dsprites +, cars3d +" and mean["lowest"] > 0.9


def test_trends_are_scipys():
    table = load(runs(datasets=("d",)))
    part = table.select(method="annealed_vae")
    for metric, kind in (("unsup.gaussian_tc", "mean"), ("unsup.gaussian_tc@sampled", "sampled")):
        expected = -spearmanr(part.strength.astype(float), part.column(metric)).statistic
        row = total_correlation(table, **FAST)["trends"].row(method="annealed_vae", representation=kind, latents="all")
        assert row["estimate"] == pytest.approx(expected)


def test_the_sentence_follows_the_active_latents_where_they_disagree():
    sentence = total_correlation(load(runs(datasets=("d",))), **FAST).sentences[0]
    assert sentence.startswith("d, β-VAE: with stronger regularisation total correlation of sampled codes falls")
    assert "active latents' mean codes falls" in sentence and "with the collapsed latents it rises" in sentence
    lines = [{**line, "unsup.gaussian_tc_active": line["unsup.gaussian_tc"]} for line in runs(datasets=("d",))]
    sentence = total_correlation(load(lines), **FAST).sentences[0]
    assert "of mean codes rises" in sentence and "as of the active latents alone" in sentence
    without = [{**line, "unsup.gaussian_tc_active": None} for line in lines]
    analysis = total_correlation(load(without), **FAST)
    assert "active" not in analysis.sentences[0]
    assert any("No unsup.gaussian_tc_active" in notice for notice in analysis.notices)


def test_curves_are_medians_with_quartiles():
    lines = runs(datasets=("d",))
    analysis = total_correlation(load(lines), **FAST)
    for method, (_, strengths) in METHODS.items():
        for place, strength in enumerate(strengths):
            mine = [line for line in lines if (line["method"], line["strength"]) == (method, strength)]
            rows = kinds(analysis["curves"], method=method, strength=strength)
            names = ("unsup.gaussian_tc@sampled", "unsup.gaussian_tc", "unsup.gaussian_tc_active")
            for row, name in zip(rows, names, strict=True):
                values = [line[name] for line in mine]
                found = [row["lower"], row["estimate"], row["upper"]]
                assert found == pytest.approx(np.quantile(values, (0.25, 0.5, 0.75))) and row["n"] == 5
                assert min(values) <= row["lo"] <= row["estimate"] <= row["hi"] <= max(values)
                assert row["below_axis"] == (np.median(values) < 1e-4)
                assert row["rank"] == (2 - place if method == "annealed_vae" else place)
                assert row["active_latents"] == 4 - row["rank"] and row["fewer_than_two"] == 0


def test_active_latents_are_counted_and_flagged():
    lines = runs(datasets=("d",))
    for line in lines[:3]:
        line |= {"kl.z0": 0.0, "kl.z1": 0.5, "kl.z2": 0.0, "kl.z3": 0.01, "unsup.gaussian_tc_active": 0.0}
    analysis = total_correlation(load(lines), **FAST)
    row = analysis["curves"].row(method="beta_vae", strength=1, representation="mean", latents="active")
    assert row["fewer_than_two"] == 3 and row["active_latents"] == 1 and row["estimate"] == 0 and row["below_axis"]
    assert any("3 of 30 runs have fewer than 2" in notice for notice in analysis.notices)
    assert kinds(analysis["trends"], method="beta_vae")[2]["fewer_than_two"] == 3
    assert "3 of 15 runs have fewer than 2 active latents" in analysis.sentences[0]
    loose = total_correlation(load(lines), threshold=0.001, **FAST)["curves"]
    assert loose.row(method="beta_vae", strength=1, representation="mean", latents="all")["fewer_than_two"] == 0
    plain = [{name: value for name, value in line.items() if not name.startswith("kl.")} for line in lines]
    counts, source = active_latents(load([{**line, "unsup.active_latents": 3} for line in plain]))
    assert (counts == 3).all() and "unsup.active_latents" in source
    unknown = total_correlation(load(plain), **FAST)["curves"]
    assert np.isnan(unknown["active_latents"]).all() and not any("Active" in n for n in unknown.notices)


def test_floor_of_the_estimate():
    table = load(runs(datasets=("d",)))
    assert total_correlation(table, **FAST)["floor"].rows() == [
        {"study": "", "latents": 4, "samples": 10_000, "estimate": pytest.approx(4 * 3 / 40_000)}
    ]
    assert total_correlation(table, latents=10, **FAST)["floor"]["estimate"] == pytest.approx(0.00225)
    lines = [{f"{k}@2000" if k.startswith("unsup") else k: v for k, v in line.items()} for line in runs(("d",))]
    lines = [{k.replace("@sampled@2000", "@2000@sampled"): v for k, v in line.items()} for line in lines]
    analysis = total_correlation(load(lines), **FAST)
    assert analysis["floor"]["samples"].tolist() == [2000] and len(analysis["trends"]) == 6
    # What independent codes do score.
    from kerasvae.metrics.unsupervised import gaussian_total_correlation

    found = [float(gaussian_total_correlation(RNG.normal(size=(500, 10)))) for _ in range(40)]
    assert np.mean(found) == pytest.approx(10 * 9 / (4 * 500), rel=0.1)


def test_pairs_are_runs():
    lines = runs(datasets=("d",))
    frame = total_correlation(load(lines), **FAST)["pairs"]
    assert len(frame) == len(lines)
    line = lines[7]
    row = frame.row(method=line["method"], strength=line["strength"], seed=line["seed"])
    names = ("unsup.gaussian_tc@sampled", "unsup.gaussian_tc", "unsup.gaussian_tc_active")
    assert [row["sampled"], row["mean"], row["active"]] == [line[name] for name in names]


def test_mutual_information_has_the_same_form():
    analysis = total_correlation(load(runs(datasets=("d",), mutual=True)), **FAST)
    row = analysis["trends"].row(measure="unsup.mutual_info", method="beta_vae", representation="mean", latents="all")
    assert row["sign"] == "+" and set(analysis["curves"]["measure"]) == {"unsup.gaussian_tc", "unsup.mutual_info"}
    alone = total_correlation(load(runs(datasets=("d",), mutual=True)), ["unsup.mutual_info"], **FAST)
    assert set(alone["trends"]["measure"]) == {"unsup.mutual_info"} and not len(alone["floor"])


def test_claims():
    frame = total_correlation(load(runs(datasets=("d",))), **FAST)["claims"]
    met = {row["claim"]: (row["estimate"], row["met"]) for row in frame.rows()}
    assert list(met.values()) == [(1, True), (0, True), (1, True), (0, False), (1, True)]
    assert [claim for claim in met if "for every method" in claim] and [claim for claim in met if "exceeds" in claim]
    lines = [{**line, "method": "dip_vae_i"} for line in runs(datasets=("d",), methods={"m": ("beta", (1, 2))})]
    claims = total_correlation(load(lines), **FAST)["claims"]["claim"].tolist()
    assert not any("DIP-VAE-I" in claim for claim in claims)


def test_order_form_and_labels_of_seeds_change_nothing():
    lines = runs(mutual=True)
    table = load(lines)
    analysis = total_correlation(table, **FAST)
    frames = {name: frame.to_csv() for name, frame in analysis.items()}
    RNG.shuffle(lines)
    for other in (load(lines), load(table.to_long())):
        assert {name: frame.to_csv() for name, frame in total_correlation(other, **FAST).items()} == frames
    relabelled = total_correlation(load([line | {"seed": 9 - 2 * line["seed"]} for line in lines]), **FAST)
    for name in ("curves", "trends", "over_datasets"):
        np.testing.assert_allclose(relabelled[name]["estimate"], analysis[name]["estimate"], atol=1e-12)


def test_missing_lines_constants_collapsed_runs_and_one_seed():
    lines = load(runs(mutual=True)).to_long()
    table = load(lines.where(np.flatnonzero(RNG.random(len(lines)) > 0.1)))
    analysis = total_correlation(table, **FAST)
    assert np.isfinite(analysis["trends"]["estimate"]).all() and analysis["trends"]["n"].min() < 15
    constant = total_correlation(load([{**line, "unsup.gaussian_tc": 0.0} for line in runs()]), **FAST)
    rows = constant["trends"].select(representation="mean", latents="all")
    assert np.isnan(rows["estimate"]).all() and np.isnan(rows["lo"]).all() and "nan" not in str(constant)
    one_seed = total_correlation(load(runs(seeds=1)), **FAST)
    assert np.isnan(one_seed["trends"]["lo"]).all() and "falls, -100 " in one_seed.sentences[0] + " "
    dead = runs(datasets=("d",))
    for line in dead[:2]:
        line |= {f"kl.z{z}": 0.0 for z in range(4)}
    analysis = total_correlation(load(dead), **FAST)
    row = analysis["without_collapsed"].row(method="beta_vae", representation="mean", latents="all")
    assert row["n"] == 13 and any("collapsed completely" in notice for notice in analysis.notices)


def test_strengths_without_number_or_of_one_value():
    lines = runs(datasets=("d",))
    lines += [{**line, "method": "vae", "strength": None} for line in lines[:5]]
    analysis = total_correlation(load(lines), **FAST)
    assert "No trend of VAE: one strength only, or none known." in analysis.notices
    assert "vae" not in analysis["trends"]["method"].tolist() and len(analysis["pairs"]) == len(lines)
    words = [
        {**line, "strength": "abc"[int(np.log2(line["strength"])) // 2]}
        for line in runs(("d",), {"m": METHODS["beta_vae"]})
    ]
    assert any("text" in notice for notice in total_correlation(load(words), **FAST).notices)
    two_sizes = [{**line, "hp.latent_dim": dim, "kl.z0": None, "kl.z1": None, "kl.z2": None, "kl.z3": None}
                 for line in runs(("d",)) for dim in (4, 6)]  # fmt: skip
    analysis = total_correlation(load(two_sizes), **FAST)
    assert any("pooled over latent_dim" in notice for notice in analysis.notices)
    assert analysis["floor"]["latents"].tolist() == [4, 6]
    assert analysis["trends"]["n"].tolist() == [30] * 6


def test_what_is_not_possible_says_why():
    table = load(runs())
    with pytest.raises(ValueError, match=r"the table has none of unsup\.gaussian_tc"):
        total_correlation(load([{"method": "m", "strength": 1, "seed": 0, "mig": 0.5}]))
    with pytest.raises(ValueError, match="no method has two strengths"):
        total_correlation(table.select(strength=[1, 5]), **FAST)
    with pytest.raises(ValueError, match=r"the table has no unsup\.mutual_info"):
        total_correlation(table, ["unsup.mutual_info"])
    with pytest.raises(ValueError, match="metrics must be of"):
        total_correlation(table, ["mig"])
    with pytest.raises(ValueError, match="samples must be an integer, at least 2"):
        total_correlation(table, samples=1)
    with pytest.raises(ValueError, match="no runs that are ok"):
        total_correlation(table.where(np.zeros(len(table), bool)))
    half = total_correlation(table.select(metrics=["unsup.gaussian_tc"]), **FAST)
    assert any("No unsup.gaussian_tc of sampled codes" in notice for notice in half.notices)
    assert not any("exceeds" in claim for claim in half["claims"]["claim"].tolist())
